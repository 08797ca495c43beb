//! The smallest external porch, for measurements: it does nothing, successfully.

fn main() {}
