//! The admin API, its OpenAPI, and the client that the commands use.
