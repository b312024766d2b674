//! The hosts of a database URL that names several, as libpq takes them:
//! <https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-MULTIPLE-HOSTS>.

/// The hosts of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hosts {
    /// The same URL once for each host, in their order; at least one.
    pub(super) urls: Vec<String>,
    /// `load_balance_hosts=random`: each connection begins with a host drawn at random, otherwise with the first.
    pub(super) balanced: bool,
}

/// The parameter that says where connections begin.
const BALANCE: &str = "load_balance_hosts";

impl Hosts {
    /// Takes a URL apart.
    ///
    /// # Errors
    /// What is wrong with `load_balance_hosts`.
    pub(super) fn of(url: &str) -> Result<Self, String> {
        let (location, query) =
            url.split_once('?').map_or((url, None), |(location, query)| (location, Some(query)));
        let (scheme, rest) = location.split_once("://").unwrap_or(("", location));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let user = if user.is_empty() { String::new() } else { format!("{user}@") };
        let (mut kept, mut balanced) = (Vec::new(), false);
        for parameter in query.into_iter().flat_map(|query| query.split('&')) {
            match parameter.split_once('=') {
                Some((BALANCE, "random")) => balanced = true,
                Some((BALANCE, "disable")) => balanced = false,
                Some((BALANCE, _)) => return Err(format!("{BALANCE} is random or disable")),
                _ => kept.push(parameter),
            }
        }
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let urls = hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}{query}")).collect();
        Ok(Self { urls, balanced })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_a_url_of_its_own() {
        let hosts = Hosts::of(
            "postgres://app:p%2Cw@one:5432,two,[::1]:7/c?sslmode=require&load_balance_hosts=random",
        );
        let urls = ["one:5432", "two", "[::1]:7"];
        let urls = urls.map(|host| format!("postgres://app:p%2Cw@{host}/c?sslmode=require")).to_vec();
        assert_eq!(hosts, Ok(Hosts { urls, balanced: true }));
    }

    #[test]
    fn one_host_is_left_as_it_is() {
        for url in [
            "postgres://app:secret@db:5432/c",
            "postgresql:///c?host=/run/postgresql",
            "postgres://db",
            "postgres://app@db/c?sslmode=verify-full&sslrootcert=/a,b",
        ] {
            assert_eq!(Hosts::of(url), Ok(Hosts { urls: vec![url.to_owned()], balanced: false }));
        }
    }

    #[test]
    fn where_connections_begin_is_one_of_two() {
        let balanced =
            |value| Hosts::of(&format!("postgres://a,b/c?{BALANCE}={value}")).map(|hosts| hosts.balanced);
        assert_eq!((balanced("random"), balanced("disable")), (Ok(true), Ok(false)));
        assert!(balanced("").is_err() && balanced("true").is_err());
    }
}
