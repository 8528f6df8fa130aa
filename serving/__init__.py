"""The API over HTTP: requests in, answers out. Independent of models, indexes and databases."""
