//! Assign bundles of namespaces to proposers.
