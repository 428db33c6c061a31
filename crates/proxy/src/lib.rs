//! HTTP in, HTTP out, through a pool.
