//! Which device a client says it is: `User-Agent`, `Sec-CH-UA` and `Sec-CH-UA-Platform`, a line each.

use cloakroom::device::LOOKED_AT;
use cloakroom::{Client, Device, DeviceHeaders};

pub(crate) fn run(input: &[u8]) {
    let mut lines = input.splitn(3, |byte| *byte == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let headers = DeviceHeaders { user_agent: line(), brands: line(), platform: line() };
    let device = Device::from_headers(&headers);

    // What stands beyond is not looked at; what comes before is.
    let cut = |line: &'_ [u8]| line[..line.len().min(LOOKED_AT)].to_vec();
    let (user_agent, brands, platform) =
        (cut(headers.user_agent), cut(headers.brands), cut(headers.platform));
    let cut = DeviceHeaders { user_agent: &user_agent, brands: &brands, platform: &platform };
    assert_eq!(Device::from_headers(&cut), device);

    // It is kept as two codes, and is a family that has a name: nothing of the text is in it.
    let client = Client { device, ..Client::default() };
    let text = client.to_text();
    assert!(text.len() <= 9, "{text}");
    assert_eq!(Client::from_text(&text), client);
    assert!(device.to_string().len() < 40 && format!("{headers:?}").is_char_boundary(0));
}
