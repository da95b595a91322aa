//! URLs: which deployment they name, and where its servers are.

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError,
    TlsCertificates,
};

use crate::settings::{ClientCertificate, Tls};

/// The URL names no server, or there is no runtime to connect with. No message holds anything of the
/// URL, for it may hold a password.
#[derive(Debug, thiserror::Error)]
pub enum InvalidUrl {
    /// It can't be read.
    #[error(
        "the store's URL can't be read ({0}): it takes redis://HOST:PORT, rediss://HOST:PORT (TLS), \
         redis+cluster://HOST:PORT,HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY or \
         unix:///PATH, with USER:PASSWORD@ before the hosts and /DATABASE at the end if need be"
    )]
    Url(String),
    /// Several hosts can be a cluster or sentinels, and it does not say which.
    #[error(
        "a URL with several hosts says what they are: redis+cluster://HOST:PORT,HOST:PORT or \
         redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY"
    )]
    SeveralHosts,
    /// Sentinels watch over several primaries, each under a name.
    #[error(
        "a URL of sentinels ends in the name under which they know the primary: \
         redis+sentinel://HOST:PORT,HOST:PORT/PRIMARY"
    )]
    NoPrimary,
    /// A cluster has no other database than 0.
    #[error("a cluster has only database 0: leave out what stands after the hosts")]
    DatabaseOfACluster,
    /// What stands after `?` means nothing, or means nothing here.
    #[error(
        "what stands after ? in the store's URL means nothing there; it takes cluster=true, and for \
         sentinels sentinel_user=NAME and sentinel_password=PASSWORD, percent-encoded"
    )]
    Parameter,
    /// `#insecure` would accept any certificate.
    #[error(
        "a URL that ends in #insecure would accept any certificate, and is refused: name the \
             certificate's authority in the settings of TLS instead"
    )]
    Insecure,
    /// A certificate or key in the settings can't be used.
    #[error("the certificates in the settings of TLS can't be used: {0}")]
    Certificate(String),
    /// Certificates are of no use without TLS.
    #[error(
        "there are certificates in the settings of TLS, and the URL is not one of TLS: it \
             begins with rediss://, rediss+cluster:// or rediss+sentinel://"
    )]
    CertificateWithoutTls,
    /// Connections live in a tokio runtime.
    #[error("a RedisStore is opened inside a tokio runtime, for example in #[tokio::main]")]
    NoRuntime,
}

/// Where a store is.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) deployment: Deployment,
    /// The server, some nodes of the cluster, or the sentinels; at least one. The credentials are
    /// those of the servers.
    pub(crate) hosts: Vec<ConnectionInfo>,
}

#[derive(Clone, Debug)]
pub(crate) enum Deployment {
    One,
    Cluster,
    /// The name of the primary, and how to speak to the sentinels themselves.
    Sentinel {
        primary: String,
        user: Option<String>,
        password: Option<String>,
    },
}

impl Address {
    pub(crate) fn parse(url: &str, tls: &Tls) -> Result<Self, InvalidUrl> {
        let mut address = Self::of(url)?;
        for host in &mut address.hosts {
            *host = with_certificates(host.clone(), tls)?;
        }
        Ok(address)
    }

    fn of(url: &str) -> Result<Self, InvalidUrl> {
        // A reader of URLs drops some of them, wherever they stand.
        if url.contains(char::is_control) {
            return Err(InvalidUrl::Url(
                "it has a control character, such as a line break at its end".into(),
            ));
        }
        let Some((scheme, rest)) = url.split_once("://") else {
            return Err(InvalidUrl::Url("it has no ://".into()));
        };
        if scheme.to_ascii_lowercase().contains("unix") {
            return Ok(Self { deployment: Deployment::One, hosts: vec![read(url)?] });
        }
        let (rest, fragment) = split(rest, '#');
        match fragment {
            None => {}
            Some("insecure") => return Err(InvalidUrl::Insecure),
            Some(_) => return Err(InvalidUrl::Url("it has a #".into())),
        }
        let (rest, query) = split(rest, '?');
        let (authority, path) = split(rest, '/');
        let mut path = path.unwrap_or_default();
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };

        // Both spellings are in use elsewhere.
        let kind = |kind: &str| scheme.strip_suffix(kind).and_then(|s| s.strip_suffix(['+', '-']));
        let mut parameters = parameters(query)?;
        let mut parameter = |name: &str| {
            let at = parameters.iter().position(|(found, _)| found == name)?;
            Some(parameters.swap_remove(at).1)
        };
        let (base, deployment) = if let Some(base) = kind("cluster") {
            (base, Deployment::Cluster)
        } else if let Some(base) = kind("sentinel") {
            let (primary, database) = split(path, '/');
            path = database.unwrap_or_default();
            if primary.is_empty() {
                return Err(InvalidUrl::NoPrimary);
            }
            let (user, password) = (parameter("sentinel_user"), parameter("sentinel_password"));
            (base, Deployment::Sentinel { primary: primary.to_owned(), user, password })
        } else {
            match parameter("cluster").as_deref() {
                None | Some("false") => (scheme, Deployment::One),
                Some("true") => (scheme, Deployment::Cluster),
                Some(_) => return Err(InvalidUrl::Parameter),
            }
        };
        // What the client crate understands there is decided by us.
        let _ = parameter("protocol");
        if !parameters.is_empty() {
            return Err(InvalidUrl::Parameter);
        }

        let hosts: Vec<_> = hosts.split(',').collect();
        match deployment {
            Deployment::One if hosts.len() > 1 => return Err(InvalidUrl::SeveralHosts),
            Deployment::Cluster if !matches!(path.trim_matches('/'), "" | "0") => {
                return Err(InvalidUrl::DatabaseOfACluster);
            }
            _ => {}
        }
        let sentinels = matches!(deployment, Deployment::Sentinel { .. });
        let read_host = |host: &str| {
            let port = if sentinels && !has_port(host) { ":26379" } else { "" };
            read(&format!("{base}://{user}{host}{port}/{path}"))
        };
        let hosts = hosts.into_iter().map(read_host).collect::<Result<_, _>>()?;
        Ok(Self { deployment, hosts })
    }
}

fn read(url: &str) -> Result<ConnectionInfo, InvalidUrl> {
    // The category says what is wrong, and holds nothing of the URL.
    let unreadable = |error: RedisError| InvalidUrl::Url(error.category().to_owned());
    url.into_connection_info().map_err(unreadable)
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Behind the brackets of an IPv6 address.
fn has_port(host: &str) -> bool {
    host.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

fn parameters(query: Option<&str>) -> Result<Vec<(String, String)>, InvalidUrl> {
    let pairs = query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = split(pair, '=');
            let value = decoded(value.unwrap_or_default()).ok_or(InvalidUrl::Parameter)?;
            Ok((name.to_owned(), value))
        })
        .collect()
}

/// Without its percent signs. The client crate does so for the rest of a URL.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte == b'%' {
            let hex = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(hex, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn with_certificates(host: ConnectionInfo, tls: &Tls) -> Result<ConnectionInfo, InvalidUrl> {
    let by_tls = matches!(host.addr(), ConnectionAddr::TcpTls { .. });
    if by_tls {
        // rustls wants one provider for the process; an application's own choice stands.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let Tls { ca, client } = tls;
    if ca.is_none() && client.is_none() {
        return Ok(host);
    }
    if !by_tls {
        return Err(InvalidUrl::CertificateWithoutTls);
    }
    if ca.as_ref().is_some_and(|ca| !ca.windows(10).any(|part| part == b"-----BEGIN")) {
        return Err(InvalidUrl::Certificate("the authority is no PEM".into()));
    }
    let client = client.as_ref().map(|ClientCertificate { chain, key }| ClientTlsConfig {
        client_cert: chain.clone(),
        client_key: key.clone(),
    });
    let certificates = TlsCertificates { client_tls: client, root_cert: ca.clone() };
    let built = Client::build_with_tls(host, certificates)
        .map_err(|error| InvalidUrl::Certificate(error.to_string()))?;
    Ok(built.get_connection_info().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(url: &str) -> (String, Vec<String>) {
        let Address { deployment, hosts } = Address::parse(url, &Tls::default()).unwrap();
        let kind = match deployment {
            Deployment::One => "one".into(),
            Deployment::Cluster => "cluster".into(),
            Deployment::Sentinel { primary, user, password } => {
                format!("{primary} {user:?} {password:?}")
            }
        };
        let shown = |host: &ConnectionInfo| {
            let settings = host.redis_settings();
            let tls =
                if matches!(host.addr(), ConnectionAddr::TcpTls { .. }) { " tls" } else { "" };
            let user = settings.username().unwrap_or_default();
            let password = settings.password().unwrap_or_default();
            format!("{user}:{password}@{}/{}{tls}", host.addr(), settings.db())
        };
        (kind, hosts.iter().map(shown).collect())
    }

    #[test]
    fn every_form_of_url_names_its_deployment() {
        let one = ("one".to_owned(), vec![":@h:6379/0".to_owned()]);
        assert_eq!(hosts("redis://h"), one);
        assert_eq!(hosts("valkey://h/?cluster=false"), one);
        assert_eq!(hosts("redis://h:1/3").1, [":@h:1/3"]);
        assert_eq!(hosts("rediss://u:p%40@h").1, ["u:p@@h:6379/0 tls"]);
        assert_eq!(hosts("unix:///tmp/s").0, "one");

        let cluster = ("cluster".to_owned(), vec!["u:p@a:1/0".to_owned(), "u:p@b:6379/0".into()]);
        for url in [
            "redis+cluster://u:p@a:1,b",
            "redis-cluster://u:p@a:1,b/",
            "valkey+cluster://u:p@a:1,b/0",
            "redis://u:p@a:1,b/?cluster=true",
        ] {
            assert_eq!(hosts(url), cluster, "{url}");
        }
        assert_eq!(hosts("rediss+cluster://[::1]:7").1, [":@::1:7/0 tls"]);

        let sentinel = hosts("redis+sentinel://u:p@a,[::1]:7,b:1/shop/2");
        assert_eq!(sentinel.0, "shop None None");
        assert_eq!(sentinel.1, ["u:p@a:26379/2", "u:p@::1:7/2", "u:p@b:1/2"]);
        let url = "rediss-sentinel://a/shop?sentinel_user=s&sentinel_password=%c3%a4%26";
        assert_eq!(hosts(url).0, "shop Some(\"s\") Some(\"ä&\")");
    }

    #[test]
    fn what_is_wrong_is_said_without_a_word_of_the_url() {
        for (url, part) in [
            ("redis://s3cret", ""),
            ("redis://:s3cret@a,b", "several hosts"),
            ("redis+cluster://:s3cret@a/3", "only database 0"),
            ("redis+cluster://:s3cret@a,", "can't be read"),
            ("redis+sentinel://:s3cret@a", "name under which"),
            ("redis+sentinel://:s3cret@a/?x=1", "name under which"),
            ("redis://:s3cret@a/?tls=no", "after ?"),
            ("redis://:s3cret@a/?cluster=maybe", "after ?"),
            ("redis://:s3cret@a/?sentinel_user=x", "after ?"),
            ("redis+sentinel://a/p?sentinel_password=%s3cret", "after ?"),
            ("rediss+cluster://:s3cret@a/#insecure", "#insecure"),
            ("redis+ring://:s3cret@a", "can't be read"),
            ("s3cret", "no ://"),
            ("redis://:s3cret@a/0\n", "control character"),
            ("rediss://\u{f}", "control character"),
        ] {
            match Address::parse(url, &Tls::default()) {
                Ok(_) => assert!(part.is_empty(), "{url}"),
                Err(error) => {
                    let said = format!("{error} {error:?}");
                    assert!(said.contains(part) && !said.contains("s3cret"), "{url}: {said}");
                }
            }
        }
    }

    #[test]
    fn certificates_that_can_not_be_used_are_refused_at_once() {
        let with = |ca: &[u8]| Tls { ca: Some(ca.to_vec()), client: None };
        let refused = |url, tls: &Tls| Address::parse(url, tls).unwrap_err();
        let error = refused("rediss://h", &with(b"nonsense"));
        assert!(matches!(error, InvalidUrl::Certificate(_)), "{error}");
        let error = refused("redis://h", &with(b"-----BEGIN CERTIFICATE-----"));
        assert!(matches!(error, InvalidUrl::CertificateWithoutTls), "{error}");
        let client = ClientCertificate { chain: b"x".into(), key: b"s3cret".into() };
        assert!(!format!("{client:?}").contains("3cret"));
        let tls = Tls { ca: None, client: Some(client) };
        let error = refused("rediss+cluster://h,i", &tls);
        assert!(matches!(error, InvalidUrl::Certificate(_)), "{error}");
    }
}
