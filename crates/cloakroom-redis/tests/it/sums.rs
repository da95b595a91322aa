//! The sums of `change.lua`, in a real server, against wider numbers than it has.

use cloakroom_redis::scripts;
use testbed::Server;

/// SplitMix64, as in the published suite.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Near what is hard: the ends of 64 bits, 2^53, where a Lua number ends, the halves of `sum`, 0;
    /// else anything.
    fn number(&mut self) -> i64 {
        let near = [i64::MIN, i64::MAX, 1 << 53, -(1 << 53), 1_000_000_000, -1_000_000_000, 0];
        let offset = (self.roll() % 7) as i64 - 3;
        match self.roll() % 10 {
            way @ 0..7 => near[way as usize].wrapping_add(offset),
            7 => (self.roll() as i64) % 1_000_000_000 * 1_000_000_000 + offset,
            8 => (self.roll() as i64) >> (self.roll() % 63),
            _ => self.roll() as i64,
        }
    }
}

/// What the script says of a sum, from what is exact.
fn expected(a: i64, b: i64, floor: bool) -> String {
    let sum = i128::from(a) + i128::from(b);
    match i64::try_from(sum) {
        Ok(sum) if !floor || sum >= 0 => sum.to_string(),
        _ => "out-of-range".into(),
    }
}

// Proves R67, R69.
#[test]
fn a_sum_in_lua_is_exact_or_refused() {
    let server = Server::start();
    let text = scripts::APPLY.text;
    let part = |from: &str, to: &str| {
        let (_, rest) = text.split_once(from).expect("where it begins");
        format!("{from}{}", rest.split_once(to).expect("where it ends").0)
    };
    let sums = [
        part("local function ms", "\n\n"),
        part("local function sum", "-- The list with one more item"),
    ];
    let each = "local said = {} \
        for i = 1, #ARGV, 3 do \
          local sum, why = sum(ARGV[i], ARGV[i + 1], ARGV[i + 2] == '0') \
          said[#said + 1] = sum or why \
        end \
        return table.concat(said, ' ')";
    let script = format!("{}\n{each}", sums.join("\n"));
    let mut dice = Dice(7);
    for _ in 0..200 {
        let sums: Vec<(i64, i64, bool)> = (0..500)
            .map(|_| (dice.number(), dice.number(), dice.roll().is_multiple_of(3)))
            .collect();
        let words: Vec<String> = sums
            .iter()
            .flat_map(|(a, b, floor)| {
                [a.to_string(), b.to_string(), if *floor { "0" } else { "" }.to_owned()]
            })
            .collect();
        let mut command = vec!["EVAL", &script, "0"];
        command.extend(words.iter().map(String::as_str));
        let reply = server.command(&command).text();
        let said: Vec<&str> = reply.split(' ').collect();
        assert_eq!(said.len(), sums.len());
        for ((a, b, floor), said) in sums.iter().zip(said) {
            assert_eq!(said, expected(*a, *b, *floor), "{a} + {b}, never below 0: {floor}");
        }
    }
}
