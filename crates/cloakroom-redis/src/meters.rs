//! What an operator watches of the way to the servers, by the `metrics` facade. The library counts
//! what sessions are asked for; here is counted what that costs.
//!
//! The handles are taken once for a store, those of refusals too: a counter that begins at its first
//! count would hide it from who asks for an increase.

use metrics::{Counter, Gauge, counter, gauge};
use redis::{Arg, Cmd, Value};

const TRIPS: &str = "cloakroom_redis_trips_total";
const SENT: &str = "cloakroom_redis_sent_bytes_total";
const RECEIVED: &str = "cloakroom_redis_received_bytes_total";
const IN_FLIGHT: &str = "cloakroom_redis_calls_in_flight";
const CONNECTIONS: &str = "cloakroom_redis_connections_total";
const RECONNECTIONS: &str = "cloakroom_redis_reconnections_total";
const REFUSALS: &str = "cloakroom_redis_refusals_total";

/// Those that say something about a server. A code of any other name would be a label of its own.
const CODES: [&str; 18] = [
    "ASK",
    "BUSY",
    "CLUSTERDOWN",
    "ERR",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "MOVED",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "NOSCRIPT",
    "OOM",
    "READONLY",
    "TRYAGAIN",
    "WRONGPASS",
    "WRONGTYPE",
    OTHER,
];

const OTHER: &str = "other";

/// The handles of one store.
pub(crate) struct Meters {
    trips: Counter,
    sent: Counter,
    received: Counter,
    in_flight: Gauge,
    connected: Counter,
    not_connected: Counter,
    reconnected: Counter,
    refusals: [Counter; CODES.len()],
}

impl Meters {
    pub(crate) fn new() -> Self {
        describe();
        Self {
            trips: counter!(TRIPS),
            sent: counter!(SENT),
            received: counter!(RECEIVED),
            in_flight: gauge!(IN_FLIGHT),
            connected: counter!(CONNECTIONS, "outcome" => "made"),
            not_connected: counter!(CONNECTIONS, "outcome" => "failed"),
            reconnected: counter!(RECONNECTIONS),
            refusals: CODES.map(|code| counter!(REFUSALS, "code" => code)),
        }
    }

    /// Commands leave, in one piece.
    pub(crate) fn sent<'a>(&self, commands: impl Iterator<Item = &'a Cmd>) {
        self.trips.increment(1);
        self.sent.increment(commands.map(length_of).sum());
    }

    /// Their answers are here.
    pub(crate) fn received(&self, answers: &[Value]) {
        self.received.increment(answers.iter().map(length_of_answer).sum());
    }

    /// A call is under way until this is dropped.
    pub(crate) fn call(&self) -> InFlight<'_> {
        self.in_flight.increment(1);
        InFlight(&self.in_flight)
    }

    pub(crate) fn connected(&self, again: bool) {
        self.connected.increment(1);
        if again {
            self.reconnected.increment(1);
        }
    }

    pub(crate) fn not_connected(&self) {
        self.not_connected.increment(1);
    }

    /// A server answered an error.
    pub(crate) fn refused(&self, code: &str) {
        let place = CODES.iter().position(|known| *known == code);
        // The last stands for all others.
        if let Some(counter) = place.map_or(self.refusals.last(), |at| self.refusals.get(at)) {
            counter.increment(1);
        }
    }
}

pub(crate) struct InFlight<'a>(&'a Gauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.decrement(1);
    }
}

fn describe() {
    use metrics::{Unit, describe_counter, describe_gauge};
    describe_counter!(TRIPS, "Pieces sent to a server, a call or a question each");
    describe_counter!(SENT, Unit::Bytes, "Sent in trips, before TLS");
    describe_counter!(RECEIVED, Unit::Bytes, "Received in trips, after TLS");
    describe_gauge!(IN_FLIGHT, "Calls under way");
    describe_counter!(CONNECTIONS, "Attempts to connect");
    describe_counter!(RECONNECTIONS, "Connections made where one had broken");
    describe_counter!(REFUSALS, "Errors that servers answered");
}

/// What a command is on the wire.
fn length_of(command: &Cmd) -> u64 {
    let mut count = 0;
    let mut length = 0;
    for argument in command.args_iter() {
        count += 1;
        let bytes = match argument {
            Arg::Simple(bytes) => bytes.len() as u64,
            // Ours have none.
            _ => 0,
        };
        length += with_length(bytes);
    }
    head(count) + length
}

/// What an answer was on the wire, by RESP3.
fn length_of_answer(answer: &Value) -> u64 {
    let all = |answers: &[Value]| answers.iter().map(length_of_answer).sum::<u64>();
    match answer {
        Value::Nil => 3,
        Value::Okay => 5,
        Value::Int(number) => {
            let minus = u64::from(*number < 0);
            3 + minus + digits(number.unsigned_abs())
        }
        Value::BulkString(bytes) => with_length(bytes.len() as u64),
        Value::SimpleString(text) => 3 + text.len() as u64,
        Value::VerbatimString { text, .. } => with_length(4 + text.len() as u64),
        Value::Array(answers) | Value::Set(answers) => head(answers.len() as u64) + all(answers),
        Value::Map(pairs) => {
            let pair = |(name, value): &(_, _)| length_of_answer(name) + length_of_answer(value);
            head(pairs.len() as u64) + pairs.iter().map(pair).sum::<u64>()
        }
        Value::ServerError(error) => {
            let details = error.details().map_or(0, |details| 1 + details.len() as u64);
            3 + error.code().len() as u64 + details
        }
        // No command of ours is answered so.
        _ => 0,
    }
}

/// `*3\r\n`
fn head(count: u64) -> u64 {
    3 + digits(count)
}

/// `$3\r\nabc\r\n`
fn with_length(bytes: u64) -> u64 {
    5 + digits(bytes) + bytes
}

fn digits(number: u64) -> u64 {
    u64::from(number.checked_ilog10().unwrap_or(0)) + 1
}

#[cfg(test)]
mod tests {
    use redis::Parser;

    use super::*;

    #[test]
    fn a_command_is_as_long_as_it_is_on_the_wire() {
        for arguments in [&[""][..], &["PING"], &["EVALSHA", "2c5b", "0", "123456789a", ""]] {
            let mut command = Cmd::new();
            for argument in arguments {
                command.arg(*argument);
            }
            let packed = command.get_packed_command();
            assert_eq!(length_of(&command), packed.len() as u64, "{arguments:?}");
        }
    }

    #[test]
    fn an_answer_is_as_long_as_it_was_on_the_wire() {
        for wire in [
            "+OK\r\n",
            "+PONG\r\n",
            "_\r\n",
            ":0\r\n",
            ":-10\r\n",
            ":9223372036854775807\r\n",
            "$0\r\n\r\n",
            "$10\r\n0123456789\r\n",
            "=7\r\ntxt:abc\r\n",
            "*2\r\n$1\r\na\r\n*0\r\n",
            "%1\r\n+role\r\n:1\r\n",
            "~1\r\n:1\r\n",
            "-OOM command not allowed\r\n",
            "-MINE\r\n",
        ] {
            let answer = Parser::new().parse_value(wire.as_bytes()).unwrap();
            assert_eq!(length_of_answer(&answer), wire.len() as u64, "{wire:?}: {answer:?}");
        }
    }
}
