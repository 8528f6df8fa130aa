"""The API over HTTP: requests in, answers out. Knows nothing about models, indexes or how state is stored."""
