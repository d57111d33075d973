//! Served views: ordered indexes of released ticks with a history of their own, and the way of a query to them and back.
//! No HTTP here, and no timely: workers push changes and call [`inbox::Inbox::serve`], front tasks await [`router::Router`].

pub mod index;
