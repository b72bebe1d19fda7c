//! Tasks: enqueue, claim, extend, finish, demand.
