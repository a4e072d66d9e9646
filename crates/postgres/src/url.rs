//! A URL taken apart: what is ours, and what the driver is told of each host.
//!
//! Owns the parameters that are ours, and lists of hosts, which are libpq's and which the driver does
//! not know. What the parameters mean is in `options.rs`.

use std::iter::zip;
use std::str::FromStr;

use evenfold_core::error::Invalid;
use sqlx::postgres::PgConnectOptions;

use crate::hosts::Target;
use crate::install::Install;
use crate::options::Options;

/// The parameters that the driver knows; others it would pass over in silence.
const DRIVERS: [&str; 12] = [
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
];

/// The parameters that are ours.
const OURS: [&str; 6] =
    ["install", "pooler", "connections", "wakeups", "group_append", "target_session_attrs"];

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// How a password is written that would end too early.
const WRITTEN: &str = "in a password write `%3F` for `?`, `%26` for `&`, `%23` for `#`, `%2F` for `/` \
                       and `%40` for `@`";

/// Those that may be a list, with an item for each host.
const LISTS: [&str; 3] = ["host", "hostaddr", "port"];

/// The hosts that a URL names, and the options with what it says of them.
pub(crate) fn read(
    url: &str,
    options: Options,
) -> Result<(Vec<PgConnectOptions>, Options), Invalid> {
    // Anything else may be a password, or a part of one.
    let Some((scheme, rest)) = url.split_once("://").filter(|(scheme, _)| is_ours(scheme)) else {
        return Err(Invalid::new("Postgres URL", "…", "it begins with `postgres://`"));
    };
    let refuse = |rule| Invalid::new("Postgres URL", format_args!("{scheme}:…"), rule);
    let (place, parameters) = rest.split_once('?').unwrap_or((rest, ""));
    check(url, place).map_err(refuse)?;
    let may_be_shown = may_be_shown(place, parameters);
    let mut options = options;
    let mut others = Vec::new();
    let parameters = parameters.split('&').filter(|parameter| !parameter.is_empty());
    for (number, parameter) in (1..).zip(parameters) {
        let unknown = |name| refuse(unknown(may_be_shown.then_some(name), number));
        let (name, value) = parameter.split_once('=').ok_or_else(|| unknown(parameter))?;
        if DRIVERS.contains(&name) || name.starts_with("options[") {
            check_driver(name, value).map_err(refuse)?;
            others.push((name, value));
        } else {
            let with = options.with(name, value).ok_or_else(|| unknown(name))?;
            options = with.map_err(refuse)?;
        }
    }
    let hosts = urls(scheme, place, &others).map_err(refuse)?;
    let hosts = hosts.iter().map(|url| PgConnectOptions::from_str(url));
    let hosts = hosts.collect::<Result<_, _>>().map_err(|error| refuse(error.to_string()))?;
    Ok((hosts, options))
}

fn is_ours(scheme: &str) -> bool {
    matches!(scheme, "postgres" | "postgresql")
}

/// Refuses what is no part of any URL of ours, and mostly comes of a password that is written as it is.
fn check(url: &str, place: &str) -> Result<(), String> {
    let path = place.split_once('/').map_or("", |(_, path)| path);
    if url.contains('\0') || url.contains("%00") {
        Err("it holds the character NUL".to_owned())
    } else if url.contains('#') {
        Err(format!("it holds a `#`, and the rest would be passed over; {WRITTEN}"))
    } else if path.contains('@') {
        Err(format!("it holds an `@` after the first `/`; {WRITTEN}"))
    } else {
        Ok(())
    }
}

/// The driver's own text shows the value.
fn check_driver(name: &str, value: &str) -> Result<(), String> {
    if name == "sslmode" && !SSL_MODES.contains(&value) {
        return Err(format!("`sslmode=` is `{}`", SSL_MODES.join("`, `")));
    }
    Ok(())
}

/// Whether what stands in the place of a name is certainly no part of a password: of one that ends at an
/// `@` further on, of one whose host was forgotten, or of one that is a parameter.
fn may_be_shown(place: &str, parameters: &str) -> bool {
    !parameters.contains('@')
        && place.contains('/')
        && (place.contains('@') || !place.contains(':'))
        && parameters.split('&').all(|parameter| !parameter.starts_with("password"))
}

fn unknown(name: Option<&str>, number: u32) -> String {
    let unknown = match name {
        Some(name) => format!("there is no parameter `{name}`"),
        None => format!(
            "parameter {number} after the `?` is not known, or lacks its `=`, and may be a part of a \
             password: {WRITTEN}"
        ),
    };
    let (ours, drivers) = (OURS.join("=`, `"), DRIVERS.join(", "));
    format!("{unknown}; ours are `{ours}=`, and the driver's are {drivers}")
}

impl Options {
    /// With a parameter, if it is one of ours.
    fn with(self, name: &str, value: &str) -> Option<Result<Self, String>> {
        Some(match (name, value) {
            ("install", "no") => Ok(self.install(Install::Nothing)),
            ("install", "yes") => Ok(self.install(Install::Missing)),
            ("install", "adopt") => Ok(self.install(Install::Adopt)),
            ("install", "leases") => Ok(self.install(Install::Leases)),
            ("install", _) => Err("`install=` is `no`, `yes`, `adopt` or `leases`".to_owned()),
            ("pooler", "none") => Ok(self.transaction_pooler(false)),
            ("pooler", "transaction") => Ok(self.transaction_pooler(true)),
            ("pooler", _) => Err("`pooler=` is `none` or `transaction`".to_owned()),
            ("connections", number) => {
                let number = number.parse().ok().and_then(|number| self.connections(number).ok());
                number.ok_or_else(|| "`connections=` is a number, 1 to 1000".to_owned())
            }
            ("wakeups", "no") => Ok(self.wakeups(false)),
            ("wakeups", "yes") => Ok(self.wakeups(true)),
            ("wakeups", _) => Err("`wakeups=` is `yes` or `no`".to_owned()),
            ("group_append", "no") => Ok(self.group_append(false)),
            ("group_append", "yes") => Ok(self.group_append(true)),
            ("group_append", _) => Err("`group_append=` is `yes` or `no`".to_owned()),
            ("target_session_attrs", word) => match word.parse() {
                Ok(target) => Ok(self.target_session_attrs(target)),
                Err(()) => Err(format!("`target_session_attrs=` is {}", Target::WORDS)),
            },
            _ => return None,
        })
    }
}

/// A URL for each host: the items of lists by turns, and all else the same. One host stays as it is.
fn urls(scheme: &str, place: &str, parameters: &[(&str, &str)]) -> Result<Vec<String>, String> {
    let (authority, path) = place.find('/').map_or((place, ""), |end| place.split_at(end));
    let (user, named) =
        authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let named = items(named);
    let values: Vec<_> = parameters
        .iter()
        .map(|(name, value)| if LISTS.contains(name) { items(value) } else { vec![*value] })
        .collect();
    let lists = || zip(parameters, &values).filter(|((name, _), _)| LISTS.contains(name));
    let count = lists().map(|(_, items)| items.len()).chain([named.len()]).max().unwrap_or(1);
    for ((name, _), items) in lists() {
        // As in libpq, one port is that of all hosts.
        if items.len() != count && !(*name == "port" && items.len() == 1) {
            let items = items.len();
            return Err(format!("`{name}=` has {items}, and there are {count} hosts"));
        }
    }
    let hosts_are_listed = lists().any(|((name, _), _)| *name != "port");
    if named.len() != count && !(hosts_are_listed && named.len() == 1) {
        let named = named.len();
        return Err(format!(
            "lists differ in length: {named} before the database, {count} after it"
        ));
    }
    let nth = |items: &[&str], number: usize| {
        items.get(number).or(items.first()).copied().unwrap_or_default().to_owned()
    };
    Ok((0..count)
        .map(|number| {
            let parameters: Vec<_> = zip(parameters, &values)
                .map(|((name, _), items)| format!("{name}={}", nth(items, number)))
                .collect();
            let host = nth(&named, number);
            format!("{scheme}://{user}{host}{path}?{}", parameters.join("&"))
        })
        .collect())
}

/// The items of a list; a program that makes URLs may write the comma by its number.
fn items(list: &str) -> Vec<&str> {
    let mut items = Vec::new();
    for item in list.split(',') {
        items.extend(item.split("%2C").flat_map(|item| item.split("%2c")));
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::name;

    fn hosts(url: &str) -> Vec<String> {
        read(url, Options::new()).unwrap().0.iter().map(name).collect()
    }

    #[test]
    fn a_url_names_a_database_and_its_parameters_win() {
        let url = "postgres://me:secret@db.example:5433/bank?connections=3&install=yes&\
                   pooler=transaction&wakeups=no&group_append=no&application_name=teller&target_session_attrs=any";
        let (hosts, options) = read(url, Options::new()).unwrap();
        let [connection] = &hosts[..] else { panic!("{} hosts", hosts.len()) };
        assert_eq!(connection.get_host(), "db.example");
        assert_eq!(connection.get_port(), 5433);
        assert_eq!(connection.get_database(), Some("bank"));
        assert_eq!(connection.get_application_name(), Some("teller"));
        let chosen = Options::new().connections(3).unwrap().install(Install::Missing);
        let chosen = chosen.transaction_pooler(true).target_session_attrs(Target::Any);
        let chosen = chosen.wakeups(false).group_append(false);
        assert_eq!(options, chosen);
    }

    #[test]
    fn a_url_of_anything_else_is_refused_without_its_password() {
        for (url, said) in [
            ("bank", "it begins with `postgres://`"),
            ("mysql://me:secret@localhost/bank", "it begins with `postgres://`"),
            (
                "postgres://me:secret@localhost/bank?install=maybe",
                "`no`, `yes`, `adopt` or `leases`",
            ),
            ("postgres://me:secret@localhost/bank?pooler=statement", "`none` or `transaction`"),
            ("postgres://me:secret@localhost/bank?wakeups=maybe", "`yes` or `no`"),
            (
                "postgres://me:secret@localhost/bank?group_append=",
                "`group_append=` is `yes` or `no`",
            ),
            ("postgres://me:secret@localhost/bank?connections=0", "1 to 1000"),
            ("postgres://me:secret@localhost/bank?connections=many", "1 to 1000"),
            ("postgres://me:secret@localhost/bank?instal=yes", "no parameter `instal`; ours are"),
            ("postgres://me:secret@localhost/bank?install", "no parameter `install`; ours are"),
            ("postgres://me:secret@localhost/bank?sslmode=no", "`sslmode=` is `disable`, `allow`"),
            ("postgres://me:secret@localhost/ba%00nk", "the character NUL"),
            ("postgres://me:secret@localhost:port/bank", "Postgres URL `postgres:…`: "),
            ("postgres://me:secret@a/b?target_session_attrs=primary", "`prefer-standby`"),
            ("postgres://me:secret@a,b:port/bank", "Postgres URL `postgres:…`: "),
            ("postgres://me:secret@a,b/bank?port=1,2,3", "2 before the database, 3 after it"),
            ("postgres://me:secret@a,b,c/bank?port=1,2", "`port=` has 2, and there are 3 hosts"),
            ("postgres://me:secret@a,b,c/bank?host=d,e", "`host=` has 2, and there are 3 hosts"),
            ("postgres://me:secret@/bank?host=a,b&hostaddr=::1", "`hostaddr=` has 1, and"),
            ("postgres://me:secret@a/bank?port=1,2", "1 before the database, 2 after it"),
        ] {
            let refused = read(url, Options::new()).err().unwrap().to_string();
            assert!(refused.contains(said), "{refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    /// Whether it is refused, and then nothing is shown of what may be secret.
    fn is_refused_unseen(url: &str) -> bool {
        let said = read(url, Options::new()).err().map(|error| format!("{error} {error:?}"));
        let shown = |part| said.as_ref().is_some_and(|said| said.contains(part));
        assert!(!["quartz", "zebra", "gazelle"].into_iter().any(shown), "{url}: {said:?}");
        said.is_some()
    }

    #[test]
    fn no_error_shows_any_part_of_a_password_that_was_not_written_as_one() {
        let mut refused = 0;
        for between in ["?,&", "&,?", "?,?", "&,&", "?,=", "&,=", "/,?", "?,/", "#,?", "@,?", "?,@"]
        {
            let (one, other) = between.split_once(',').unwrap();
            let secret = format!("quartz{one}zebra{other}gazelle");
            for url in [
                format!("postgres://u:{secret}@host/db"),
                format!("postgres://u:{secret}@host:1,host:2/db?connections=3"),
                format!("postgres://u:{secret}@host/db?install=maybe"),
                format!("postgres://u:{secret}@host/db?instal=yes"),
                format!("postgres://u:{secret}@host/db?port=1,2,3"),
                format!("postgres://u:{secret}@/db?host=host"),
                format!("postgres://u:{secret}"),
                format!("postgres://{secret}@host/db"),
                format!("postgres://host/db?user=u&password={secret}"),
                format!("postgres://host/db?password={secret}&pooler=maybe&instal=yes"),
                format!("postgres://host/db?sslmode={secret}"),
                format!("postgres://u:quartz?sslmode={secret}@host/db"),
                format!("postgres://u:quartz?port={secret}@host/db"),
                format!("postgres:u:{secret}@host/db"),
                format!("u:{secret}@host/db"),
                format!("{secret}@host:5432/db"),
                format!("{secret}://host/db"),
                secret.clone(),
            ] {
                refused += u32::from(is_refused_unseen(&url));
            }
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn a_password_that_ends_too_early_is_refused_with_how_it_is_written() {
        for (url, said) in [
            ("postgres://u:p?ss&word@host/db", "parameter 1 after the `?`"),
            ("postgres://u:p@a?install=no&ss@host/db", "parameter 2 after the `?`"),
            ("postgres://host/db?password=p&ss", "parameter 2 after the `?`"),
            ("postgres://u:1/ss@host/db", "an `@` after the first `/`"),
            ("postgres://u:1#ss@host/db", "a `#`"),
        ] {
            let refused = read(url, Options::new()).err().unwrap().to_string();
            assert!(refused.contains(said), "{refused}");
            assert!(refused.contains("`%3F` for `?`"), "{refused}");
        }
        let (hosts, _) = read("postgres://u:p%3Fss%26w%23%2F%40@host/db", Options::new()).unwrap();
        assert_eq!(hosts.iter().map(name).collect::<Vec<_>>(), ["host:5432"]);
    }

    #[test]
    fn hosts_are_listed_as_in_libpq() {
        for (url, said) in [
            ("postgres://me@a:1,b:2/bank", &["a:1", "b:2"][..]),
            ("postgresql://me:se,cr@t@a,b:2,c/bank", &["a:5432", "b:2", "c:5432"]),
            ("postgres://a,b/bank?port=7", &["a:7", "b:7"]),
            ("postgres://a,b/bank?port=7,8", &["a:7", "b:8"]),
            ("postgres://[::1]:1,b:2/bank", &["[::1]:1", "b:2"]),
            ("postgres://me@%2Frun%2Fa,%2Frun%2Fb/bank", &["/run/a:5432", "/run/b:5432"]),
            ("postgres:///bank?host=/run/a,/run/b&port=1,2", &["/run/a:1", "/run/b:2"]),
            ("postgres:///bank?host=%2Frun%2Fa%2C%2Frun%2Fb", &["/run/a:5432", "/run/b:5432"]),
            ("postgres://localhost/bank?host=a,/run/b", &["a:5432", "/run/b:5432"]),
            (
                "postgres:///bank?host=a,b&hostaddr=10.0.0.1,10.0.0.2&port=1",
                &["10.0.0.1:1", "10.0.0.2:1"],
            ),
            ("postgres://me@db.example/bank", &["db.example:5432"]),
            ("postgres://localhost/bank?host=/run/a", &["/run/a:5432"]),
        ] {
            assert_eq!(hosts(url), said, "{url}");
        }
        let (each, _) = read("postgres://me@a,b/bank?user=you&dbname=c", Options::new()).unwrap();
        for host in each {
            assert_eq!((host.get_username(), host.get_database()), ("you", Some("c")));
        }
    }
}
