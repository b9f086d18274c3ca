//! What each REST API offers: endpoints, wire types, paging; no policy.
