//! org-sim.
