"""The OpenAPI document: shapes of bodies and answers, and what is said of each route."""
