//! Limits on what a policy asks for, in one order for all policies.
