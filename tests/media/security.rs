//! What the child must never do.
