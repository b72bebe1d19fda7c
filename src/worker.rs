//! Claims tasks, does them, reports.
