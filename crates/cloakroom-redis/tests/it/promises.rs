//! The published suite of promises, against a server of its own for each check.

use crate::conformance::Redis;

cloakroom::promises_suite!(Redis::start);
