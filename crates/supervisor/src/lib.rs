//! Local processes as a target of the control loop; the guardian.
