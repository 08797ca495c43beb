//! The version of the layout of the tables.

/// Version of the layout. An earlier version is converted, a later one is refused.
pub const VERSION: u32 = 3;
