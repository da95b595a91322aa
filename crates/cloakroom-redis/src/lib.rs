//! The store for Redis, Valkey and Amazon ElastiCache: one atomic script a verb, in one round trip.
//!
//! ```no_run
//! use cloakroom::{Manager, Prefix, Settings};
//! use cloakroom_redis::RedisStore;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::open("redis://127.0.0.1:6379", Prefix::new("shop")?)?;
//! let manager = Manager::new(store, Settings::default());
//! # Ok(()) }
//! ```
//!
//! Redis 6.2 or newer and Valkey 7.2 or newer; tested on Redis 6.2 and 7.0 and Valkey 8.0
//! and 9.1. A session is a plain hash that `HGETALL` shows from any language; the scripts in [`scripts`] are how any language may write to it.
//!
//! 1. The server's clock decides what has expired.
//! 2. A verb waits as long as its caller has patience, and then says that it is unknown whether it
//!    happened. Nothing is ever repeated that can have happened.
//! 3. While the server is away, a verb waits for the next attempt to connect, 200 ms at most, and
//!    fails; the first one after its return succeeds.
//! 4. A full server refuses what would add to it, before anything is done; reads and logouts go on.
//! 5. Set `maxmemory-policy noeviction`: a server that evicts logs people out, and an evicted index
//!    ends all sessions of its user.
//!
//! One server, a cluster, or a primary found by sentinels: the URL says which, see
//! [`RedisStore::open`]. On a cluster a login from an anonymous session, or from another user's, is two
//! ordered steps; see [`Store::rotate`](cloakroom::Store::rotate) for what a death between them leaves.

mod settings;
mod address;
mod named;
mod backoff;
mod keys;
mod slot;
pub mod scripts;
mod wire;
mod answers;
mod start;
mod meters;
mod gather;
mod lookup;
mod line;
mod flight;
mod asking;
mod cluster;
mod sentinel;
mod place;
mod server;
mod scan;
mod store;
mod records;
pub mod orphans;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;

pub use address::InvalidUrl;
pub use named::{Host, Kind, Named};
pub use settings::{Backoff, ClientCertificate, Credentials, Durable, RedisSettings, Tls};
pub use store::RedisStore;
