//! The token: a form that never changes, and nothing else that opens.

use std::collections::BTreeSet;

use cloakroom::{Generation, Issued, Keys, Prefix, SecretKey, SessionId, Tag, TokenMint};
use proptest::collection::vec;
use proptest::prelude::*;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn prefix(prefix: &str) -> Prefix {
    Prefix::new(prefix).unwrap()
}

fn key(secret: &str) -> SecretKey {
    SecretKey::new(secret).unwrap()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";

fn sealing() -> TokenMint {
    TokenMint::new(prefix("shop"), "__Host-session", Some(Keys::new(key(SECRET))))
}

fn open() -> TokenMint {
    TokenMint::new(prefix("shop"), "__Host-session", None)
}

/// `(mint, token, session id, tag)`. Issued once, and checked against the description of the form
/// with another implementation of its parts; a browser may hold such a token for 400 days. Never to
/// be changed, only added to.
fn frozen() -> [(TokenMint, &'static str, &'static str, &'static str); 4] {
    [
        (
            sealing(),
            "hb68br7wyHfuKKbR4RkkiYeDDHt4PeH12ga__wIugv_WrsrMLt_GEUuPpNYN3ECmZCyZTsF6pM_woqycasfHclgasb1e",
            "ykzM4u3O3QbFmvQRXMD9F7re3zxuheP1bO34tBKK5o4",
            "Anonymous(faxqQZRVZPDNx72nnVVLDg)",
        ),
        (
            sealing(),
            "k_WGD_jkHRwg3JToZCO_3_5WRAxxfHj5Yp3jNiFaeTnEMccvfiKBiZi11Zve8JIm5LQxaWtGlDTSYC4LigDzg5ve2bZ_",
            "mtr-2K5kifnGoIEC-E5i0IOoQymO3Tjo_NG_wfDepIg",
            "User(brok3Ixdi7noCg8nd8yIfA)",
        ),
        (
            open(),
            "Ars5ImnE-S9RJBCuTMVA03g_a6Wwt_xaNSAOzmffKP1hh1wnLPWelgw7GgSpFV9pfA",
            "lyFokDUekdxxuhoeM99Pjb1ieKynC3N0H-O98ld1IQI",
            "Anonymous(h1wnLPWelgw7GgSpFV9pfA)",
        ),
        (
            open(),
            "NMUA12BkrslioO1iF4gC0TQSuIRKFp3u1Eto4bkEOgR1brok3Ixdi7noCg8nd8yIfA",
            "wRHpCDNbTruasG542lehWqqZn-3fIObmdqUS5kfAvGE",
            "User(brok3Ixdi7noCg8nd8yIfA)",
        ),
    ]
}

#[test]
fn a_token_that_was_ever_issued_opens_and_names_the_same_session() {
    for (mint, token, id, tag) in frozen() {
        let opened = mint.open(token.as_bytes()).unwrap();
        assert_eq!(opened.token.reveal(), token);
        assert_eq!(opened.id.to_string(), id);
        assert_eq!(opened.id.hash(), id);
        assert_eq!(format!("{:?}", opened.id.tag()), tag);
    }
    assert_eq!(
        format!("{:?}", Tag::of_user(&prefix("shop"), "ゆき")),
        "User(brok3Ixdi7noCg8nd8yIfA)",
        "all sessions of a user are found under this"
    );
}

/// All generations of a session, by the other implementation as well.
// Proves R29.
#[test]
fn the_tokens_of_a_session_differ_in_their_generation_and_name_it_alike() {
    let mint = sealing();
    let (_, first, id, _) = frozen()[1];
    let first = mint.open(first.as_bytes()).unwrap();
    for (generation, token) in [
        (0, frozen()[1].1),
        (
            7,
            "k_WGD_jkHRwg3JToZCO_3_5WRAxxfHj5Yp3jNiFaeTmnwMSQeEHGxAsp8cDX046YkV0bmLw5IfKbPMB7t3EkgFe-XLOd",
        ),
        (
            u32::MAX,
            "k_WGD_jkHRwg3JToZCO_3_5WRAxxfHj5Yp3jNiFaeTlQJUVFdTZnsYXjXcqml3XqAGaSnUTCA2CPCWGcpBdptUdA_o-z",
        ),
    ] {
        let issued = mint.reissue(&first, Generation(generation)).unwrap();
        assert_eq!(issued.token.reveal(), token);
        let opened = mint.open(token.as_bytes()).unwrap();
        assert_eq!((opened.id.hash().as_str(), opened.generation), (id, Generation(generation)));
        assert_eq!(opened.id, first.id);
    }
    // Who has no key makes none.
    let first = open().issue_for("ada").unwrap();
    assert!(open().reissue(&first, Generation(1)).is_none());
    assert_eq!(open().open(first.token.reveal().as_bytes()).unwrap().generation, Generation(0));
}

/// A token of a former key is replaced by one of the new key, and the generations go on.
// Proves R29.
#[test]
fn a_generation_is_sealed_with_the_new_key() {
    let mint = |keys| TokenMint::new(prefix("shop"), "__Host-session", Some(keys));
    let old = mint(Keys::new(key(SECRET))).issue_for("ada").unwrap();
    let both = mint(Keys::new(key(OTHER_SECRET)).with_fallback(key(SECRET)));
    let new = mint(Keys::new(key(OTHER_SECRET)));
    let next = both.reissue(&old, Generation(1)).unwrap();
    let opened = new.open(next.token.reveal().as_bytes()).unwrap();
    assert_eq!((opened.id, opened.generation), (old.id, Generation(1)));
}

#[test]
fn what_was_issued_opens_and_names_what_was_issued() {
    for mint in [sealing(), open()] {
        assert_eq!(mint.prefix(), &prefix("shop"));
        for issued in [
            mint.issue_anonymous().unwrap(),
            mint.issue_for("ada").unwrap(),
            mint.issue(Tag::of_user(&prefix("shop"), "bob")).unwrap(),
            mint.issue(Tag::Anonymous([0; 16])).unwrap(),
            mint.issue(Tag::User([255; 16])).unwrap(),
        ] {
            let opened = mint.clone().open(issued.token.reveal().as_bytes()).unwrap();
            assert_eq!(opened.id, issued.id);
            assert_eq!(opened.token.reveal(), issued.token.reveal());
        }
        let of_ada = mint.issue_for("ada").unwrap().id.tag();
        assert_eq!(of_ada, Tag::of_user(&prefix("shop"), "ada"));
        assert!(matches!(mint.issue_anonymous().unwrap().id.tag(), Tag::Anonymous(_)));
    }
}

// Proves R1.
#[test]
fn no_two_tokens_share_a_secret_an_id_or_an_anonymous_tag() {
    for mint in [sealing(), open()] {
        let (mut secrets, mut hashes, mut tags) =
            (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for _ in 0..1_000 {
            let issued = mint.issue_anonymous().unwrap();
            // 32 bytes are 43 characters, of which the last holds bits of what follows.
            secrets.insert(issued.token.reveal()[..42].to_owned());
            hashes.insert(issued.id.hash());
            tags.insert(issued.id.tag());
        }
        assert_eq!((secrets.len(), hashes.len(), tags.len()), (1_000, 1_000, 1_000));
        let of_one: BTreeSet<_> = (0..1_000).map(|_| mint.issue_for("ada").unwrap().id).collect();
        assert_eq!(of_one.len(), 1_000);
    }
}

// Proves R11, R12.
#[test]
fn a_token_fits_into_a_cookie_as_it_is() {
    for (mint, length) in [(sealing(), 92), (open(), 66)] {
        for issued in [mint.issue_anonymous().unwrap(), mint.issue_for("ada").unwrap()] {
            let token = issued.token.reveal().as_bytes();
            assert_eq!(token.len(), length);
            assert!(token.iter().all(|byte| ALPHABET.contains(byte)));
        }
    }
}

// Proves R54, R55, CVE-2012-3458.
#[test]
fn every_single_bit_of_a_sealed_token_matters() {
    let mint = sealing();
    for issued in [mint.issue_anonymous().unwrap(), mint.issue_for("ada").unwrap()] {
        let token = issued.token.reveal().as_bytes();
        // In the text, and in the bytes that the text stands for.
        for bit in 0..token.len() * 8 {
            let mut forged = token.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(mint.open(&forged).is_none(), "bit {bit} of the text");
        }
        let bytes = decoded(token);
        assert_eq!(bytes.len(), 32 + 21 + 16);
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert!(mint.open(&encoded(&forged)).is_none(), "bit {bit} of the bytes");
        }
    }
}

/// Without keys a forged token opens, and names a session that does not exist.
#[test]
fn no_change_to_an_open_token_names_the_same_session() {
    let mint = open();
    for issued in [mint.issue_anonymous().unwrap(), mint.issue_for("ada").unwrap()] {
        let bytes = decoded(issued.token.reveal().as_bytes());
        assert_eq!(bytes.len(), 32 + 17);
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            let opened = mint.open(&encoded(&forged));
            assert!(opened.is_none_or(|opened| opened.id != issued.id), "bit {bit}");
        }
        for kind in (0..=255).filter(|kind| ![b'a', b'u'].contains(kind)) {
            let mut forged = bytes.clone();
            forged[32] = kind;
            assert!(mint.open(&encoded(&forged)).is_none(), "kind {kind}");
        }
    }
}

// Proves R1, R3, R55, CVE-2024-36400, CVE-2025-66565.
#[test]
fn of_200_000_tokens_of_64_threads_no_two_are_alike_and_every_sign_is_as_likely() {
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let issue = || {
            let mint = open();
            let issued = (0..3_125).map(|_| mint.issue_anonymous().unwrap().token);
            issued.map(|token| token.reveal().to_owned()).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(issue)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let different: BTreeSet<&String> = tokens.iter().collect();
    assert_eq!((tokens.len(), different.len()), (200_000, 200_000));
    // 16 signs are the 12 bytes under which a session's tokens are sealed.
    let nonces: BTreeSet<&str> = tokens.iter().map(|token| &token[..16]).collect();
    assert_eq!(nonces.len(), 200_000);
    let mut place = [0; 256];
    for (at, sign) in ALPHABET.iter().enumerate() {
        place[usize::from(*sign)] = at;
    }
    // The secret: 32 bytes are 42 whole signs, and four bits of one that the kind stands in too.
    for at in 0..42 {
        let mut seen = [0_u32; 64];
        for token in &tokens {
            seen[place[usize::from(token.as_bytes()[at])]] += 1;
        }
        let expected = 200_000.0 / 64.0;
        let chi: f64 =
            seen.iter().map(|seen| (f64::from(*seen) - expected).powi(2) / expected).sum();
        // 63 degrees of freedom: above 150 once in ten million times, and below 20 as seldom.
        assert!((20.0..150.0).contains(&chi), "sign {at}: {chi}");
    }
}

/// What the layout says stands open without a key, and nothing more.
// Proves R4.
#[test]
fn without_a_key_a_token_tells_its_kind_and_tag_and_nothing_else() {
    let tag = |issued: &Issued| issued.id.to_bytes()[..17].to_vec();
    for issue in [|mint: &TokenMint| mint.issue_for("ada"), TokenMint::issue_anonymous] {
        let [one, other] = [issue(&open()).unwrap(), issue(&open()).unwrap()];
        for issued in [&one, &other] {
            let bytes = decoded(issued.token.reveal().as_bytes());
            assert_eq!((bytes.len(), &bytes[32..]), (49, &tag(issued)[..]));
        }
        let secret = |issued: &Issued| decoded(issued.token.reveal().as_bytes())[..32].to_vec();
        assert_ne!(secret(&one), secret(&other));
    }
    // With one, not even that: neither in its place nor anywhere.
    for issued in (0..100).map(|_| sealing().issue_for("ada").unwrap()) {
        let bytes = decoded(issued.token.reveal().as_bytes());
        assert!(!bytes.windows(4).any(|part| part == &tag(&issued)[1..5]));
    }
}

// Proves R1, R17.
#[test]
fn a_token_has_exactly_one_length() {
    for (mint, token, ..) in frozen() {
        for length in 0..token.len() {
            assert!(mint.open(&token.as_bytes()[..length]).is_none(), "cut to {length}");
            assert!(mint.open(&token.as_bytes()[length + 1..]).is_none(), "{length} cut off");
        }
        for byte in 0..=255 {
            assert!(mint.open(&[token.as_bytes(), &[byte]].concat()).is_none());
            assert!(mint.open(&[&[byte], token.as_bytes()].concat()).is_none());
        }
        for more in ["=", "==", "\r\n", "; Secure", token] {
            assert!(mint.open(format!("{token}{more}").as_bytes()).is_none(), "{more:?}");
        }
    }
}

// Proves R1, R17, CVE-2024-36400.
#[test]
fn a_token_has_exactly_one_alphabet() {
    for (mint, token, id, _) in frozen() {
        for at in 0..token.len() {
            for byte in (0..=255).filter(|byte| !ALPHABET.contains(byte)) {
                let mut forged = token.as_bytes().to_vec();
                forged[at] = byte;
                assert!(mint.open(&forged).is_none(), "byte {byte} at {at}");
            }
        }
        for forged in [
            token.replace('-', "+").replace('_', "/"),
            token.replace('-', "%2D").replace('_', "%5F"),
            format!("\"{token}\""),
            format!("{}=", &token[..token.len() - 1]),
            token.to_lowercase(),
            token.to_uppercase(),
            hex(&decoded(token.as_bytes())),
        ] {
            // Without keys, other letters are other bytes: another session, which does not exist.
            let opened = mint.open(forged.as_bytes()).filter(|opened| opened.id.hash() == id);
            assert!(forged == token || opened.is_none(), "{forged}");
        }
    }
}

/// The last character holds fewer than six bits of the token; those left over are zero, or one
/// session would have many names.
// Proves R17.
#[test]
fn a_token_has_exactly_one_last_character() {
    for (mint, token, ..) in frozen() {
        let (last, rest) = token.as_bytes().split_last().unwrap();
        let left_over = token.len() * 6 % 8;
        let value = ALPHABET.iter().position(|byte| byte == last).unwrap();
        assert_eq!(value % (1 << left_over), 0);
        for other in &ALPHABET[value + 1..value + (1 << left_over)] {
            let forged = [rest, &[*other]].concat();
            assert_eq!(decoded(&forged), decoded(token.as_bytes()), "the same bytes");
            assert!(mint.open(&forged).is_none());
        }
    }
}

// Proves R57, CVE-2022-46170, CVE-2020-17526.
#[test]
fn a_token_of_another_application_or_cookie_does_not_open() {
    let keys = || Some(Keys::new(key(SECRET)));
    for token in [sealing().issue_anonymous().unwrap(), sealing().issue_for("ada").unwrap()] {
        let token = token.token.reveal().as_bytes().to_vec();
        for (other, cookie) in [
            ("shop2", "__Host-session"),
            ("sho", "__Host-session"),
            ("shop", "__Host-Session"),
            ("shop", "session"),
            ("shop", ""),
            // The same letters, cut elsewhere.
            ("sho", "p__Host-session"),
            ("shop__", "Host-session"),
        ] {
            let mint = TokenMint::new(prefix(other), cookie, keys());
            assert!(mint.open(&token).is_none(), "{other} {cookie}");
        }
    }
}

// Proves R57, CVE-2022-46170, CVE-2023-48309.
#[test]
fn without_keys_another_application_or_cookie_finds_another_session() {
    let issued = open().issue_for("ada").unwrap();
    let mut hashes = BTreeSet::from([issued.id.hash()]);
    let others = [
        ("shop2", "__Host-session"),
        ("shop", "__Host-Session"),
        ("shop", "session"),
        ("sho", "p__Host-session"),
        ("shop__", "Host-session"),
    ];
    for (other, cookie) in others {
        let mint = TokenMint::new(prefix(other), cookie, None);
        hashes.insert(mint.open(issued.token.reveal().as_bytes()).unwrap().id.hash());
    }
    assert_eq!(hashes.len(), 1 + others.len());
}

// Proves R57.
#[test]
fn users_of_different_names_or_applications_have_different_tags() {
    let names = ["", "a", "b", "ab", "ada", "Ada", "ada ", "adá", "ada\u{301}", "ゆき"];
    let mut tags = BTreeSet::new();
    for application in ["a", "ab", "shop", "shop2"] {
        tags.extend(names.map(|name| Tag::of_user(&prefix(application), name)));
    }
    assert_eq!(tags.len(), 4 * names.len());
}

// Proves R54, CVE-2026-39324.
#[test]
fn what_we_did_not_seal_does_not_open() {
    let (sealing, open) = (sealing(), open());
    let other =
        TokenMint::new(prefix("shop"), "__Host-session", Some(Keys::new(key(OTHER_SECRET))));
    let random = TokenMint::new(
        prefix("shop"),
        "__Host-session",
        Some(Keys::new(SecretKey::random().unwrap())),
    );
    for issued in [
        other.issue_anonymous().unwrap(),
        other.issue_for("ada").unwrap(),
        random.issue_for("ada").unwrap(),
        open.issue_for("ada").unwrap(),
    ] {
        assert!(sealing.open(issued.token.reveal().as_bytes()).is_none());
    }
    assert!(open.open(sealing.issue_for("ada").unwrap().token.reveal().as_bytes()).is_none());

    // A kind and a tag in the open, padded to the length of a sealed token.
    let forged = [decoded(open.issue_for("ada").unwrap().token.reveal().as_bytes()), vec![0; 20]];
    assert!(sealing.open(&encoded(&forged.concat())).is_none());
    // The seal of one token on the secret of another.
    let parts = [sealing.issue_for("ada").unwrap(), sealing.issue_for("ada").unwrap()]
        .map(|issued| decoded(issued.token.reveal().as_bytes()));
    assert!(sealing.open(&encoded(&[&parts[0][..32], &parts[1][32..]].concat())).is_none());
    for nothing in [&b""[..], b"0", b"null", &[0; 92], &[b'A'; 92], &[b'A'; 66], &[0xff; 92]] {
        assert!(sealing.open(nothing).is_none());
    }
}

// Proves R36, R56.
#[test]
fn a_session_id_is_no_token() {
    for mint in [sealing(), open()] {
        let issued = mint.issue_for("ada").unwrap();
        let (token, id) = (issued.token.reveal(), issued.id);
        for shown in [id.to_string(), id.hash(), format!("{id:?}"), format!("{}.{id}", id.tag())] {
            assert!(mint.open(shown.as_bytes()).is_none(), "{shown}");
            assert!(!token.contains(&shown) && !shown.contains(token));
        }
        assert_eq!(id.to_string().len(), 43);
    }
}

// Proves R54, R74, CVE-2025-47278.
#[test]
fn a_fallback_key_opens_and_never_seals() {
    let mint = |keys| TokenMint::new(prefix("shop"), "__Host-session", Some(keys));
    let (old, new) = (mint(Keys::new(key(SECRET))), mint(Keys::new(key(OTHER_SECRET))));
    let both = mint(Keys::new(key(OTHER_SECRET)).with_fallback(key(SECRET)));
    let third = "a third secret of 32 bytes or so, unused";
    let more =
        mint(Keys::new(key(third)).with_fallback(key(OTHER_SECRET)).with_fallback(key(SECRET)));

    let issued = old.issue_for("ada").unwrap();
    let token = issued.token.reveal().as_bytes();
    assert!(new.open(token).is_none());
    // Changing keys moves no session: neither its id nor its tag has a key in it.
    assert_eq!(both.open(token).unwrap().id, issued.id);
    assert_eq!(both.open(token).unwrap().token.reveal().as_bytes(), token, "not sealed anew");
    assert_eq!(more.open(token).unwrap().id, issued.id);

    for issued in [both.issue_for("ada").unwrap(), both.issue_anonymous().unwrap()] {
        let token = issued.token.reveal().as_bytes();
        assert!(old.open(token).is_none(), "sealed with the fallback key");
        assert_eq!(new.open(token).unwrap().id, issued.id);
        assert_eq!(more.open(token).unwrap().id, issued.id);
    }
}

// Proves R74, CVE-2020-17526, CVE-2013-7222.
#[test]
fn a_secret_too_short_or_too_uniform_is_no_key() {
    let uniform = "abcdefg".repeat(9);
    for weak in ["", "short", &"x".repeat(500), &SECRET[..31], &uniform] {
        let error = SecretKey::new(weak).unwrap_err();
        assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
        assert!(weak.is_empty() || !format!("{error} {error:?}").contains(weak));
    }
    assert!(SecretKey::new(SECRET).is_ok());
    assert!(SecretKey::new("abcdefgh".repeat(4)).is_ok());
}

/// A key derived from its secret must not depend on how it is spelled in code.
#[test]
fn the_same_secret_makes_the_same_key() {
    let mint = |key| TokenMint::new(prefix("shop"), "__Host-session", Some(Keys::new(key)));
    let token = mint(SecretKey::new(SECRET.as_bytes()).unwrap()).issue_for("ada").unwrap();
    let same = mint(SecretKey::new(Vec::from(SECRET)).unwrap());
    assert_eq!(same.open(token.token.reveal().as_bytes()).unwrap().id, token.id);
    let longer = mint(SecretKey::new(format!("{SECRET}\n")).unwrap());
    assert!(longer.open(token.token.reveal().as_bytes()).is_none());
}

// Proves R3, CVE-2025-66565.
#[cfg(feature = "testing")]
#[test]
fn without_randomness_there_is_no_token_and_what_was_issued_still_opens() {
    for (mint, token, id, _) in frozen() {
        let dry = mint.without_randomness();
        let tag = Tag::of_user(&prefix("shop"), "ada");
        for refused in [dry.issue_anonymous(), dry.issue_for("ada"), dry.issue(tag)] {
            assert!(refused.unwrap_err().to_string().contains("no token was made"));
        }
        assert_eq!(dry.open(token.as_bytes()).unwrap().id.hash(), id);
    }
}

// Proves R61, CVE-2023-20866.
#[test]
fn debug_shows_no_secret() {
    for (mint, token, id, _) in frozen() {
        let issued = mint.open(token.as_bytes()).unwrap();
        assert_eq!(format!("{:?}", issued.token), "Token(..)");
        assert_eq!(format!("{:?}", issued.id), format!("SessionId({id})"));
        let keys = Keys::new(key(SECRET)).with_fallback(key(OTHER_SECRET));
        for shown in [
            format!("{issued:?} {issued:#?}"),
            format!("{mint:?} {mint:#?}"),
            format!("{keys:?} {:?}", key(SECRET)),
        ] {
            assert!(!shown.contains(token));
            // Nor any good part of one, nor the key in any writing.
            assert!(!shown.contains(&token[..16]) && !shown.contains(&token[token.len() - 16..]));
            assert!(!shown.contains(SECRET) && !shown.contains(OTHER_SECRET));
            assert!(!shown.contains("[48, 49") && !shown.contains("3031"));
        }
        assert_eq!(format!("{:?}", key(SECRET)), "SecretKey(..)");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // Proves R17, R54, CVE-2026-39324.
    #[test]
    fn nothing_that_a_stranger_sends_opens_a_sealed_token(
        bytes in vec(any::<u8>(), 0..120),
        token_like in "[A-Za-z0-9_-]{92}",
    ) {
        prop_assert!(sealing().open(&bytes).is_none());
        prop_assert!(sealing().open(token_like.as_bytes()).is_none());
    }

    /// An open token is whatever has its form; opening one never panics, and what opens is its own
    /// only spelling.
    #[test]
    fn what_opens_without_keys_is_the_only_spelling_of_its_bytes(
        bytes in vec(any::<u8>(), 0..120),
        token_like in "[A-Za-z0-9_-]{66}",
    ) {
        for presented in [&bytes, token_like.as_bytes()] {
            if let Some(opened) = open().open(presented) {
                prop_assert_eq!(opened.token.reveal().as_bytes(), presented);
                prop_assert_eq!(encoded(&decoded(presented)), presented);
            }
        }
    }
}

/// Base64 by hand, so that a token is not judged by the very code that made it.
fn decoded(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for byte in text {
        let value = ALPHABET.iter().position(|letter| letter == byte).unwrap();
        bits = bits << 6 | value as u32;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    bytes
}

fn encoded(bytes: &[u8]) -> Vec<u8> {
    let (mut bits, mut held, mut text) = (0_u32, 0, Vec::new());
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        held += 8;
        while held >= 6 {
            held -= 6;
            text.push(ALPHABET[(bits >> held) as usize]);
            bits &= (1 << held) - 1;
        }
    }
    if held > 0 {
        text.push(ALPHABET[(bits << (6 - held)) as usize]);
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_id_is_found_in_its_bytes_and_in_its_text_and_in_nothing_else() {
    for mint in [open(), sealing()] {
        for id in [mint.issue_anonymous().unwrap().id, mint.issue_for("alice").unwrap().id] {
            let (bytes, text) = (id.to_bytes(), id.in_full());
            assert_eq!(SessionId::from_bytes(&bytes), Some(id));
            assert_eq!(SessionId::from_full(&text), Some(id));
            assert_eq!(SessionId::parse(id.tag(), &id.hash()), Some(id));
            let of_another_kind = [b"x", &bytes[1..]].concat();
            for wrong in [&of_another_kind, &bytes[1..], &[&bytes[..], b"a"].concat(), &[]] {
                assert_eq!(SessionId::from_bytes(wrong), None);
            }
            for wrong in [format!("x{}", &text[1..]), format!("{text}a"), id.hash(), String::new()]
            {
                assert_eq!(SessionId::from_full(&wrong), None, "{wrong}");
            }
        }
    }
}
