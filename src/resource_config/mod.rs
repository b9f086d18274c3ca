//! The mapping document edited in Port.
