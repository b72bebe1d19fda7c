//! From a source index and a policy to the plan. Pure.
