//! Closed- and open-loop load, with latency from the intended send time.
