//! What a fork makes of lane blocks, told in scenarios written as text.

mod ethereum;
mod fork;
mod inbox;
mod model;
mod random;
mod scenario;
mod stories;
mod timeline;
