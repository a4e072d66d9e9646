//! From a URL to a store.
//!
//! Owns the schemes. What a backend makes of the rest of its URL is the backend's own.

use evenfold_core::Memory;
use evenfold_core::error::Invalid;

use crate::{Error, Store};

/// Opens the store that a URL names.
///
/// | URL | store |
/// |---|---|
/// | `memory:` | in memory, gone with the process |
/// | `sqlite://bank.db`, `sqlite:///var/lib/bank.db` | in a file, made when it is missing; several processes may share it (feature `sqlite`, on by default). Parameters: `?durability=full` makes each write survive a power cut (`normal` by default: only a crash of the process), `?readers=8` connections for reading (4) |
/// | `postgres://USER:PASSWORD@HOST/DATABASE` | in a Postgres database with Message DB, or with our own schema (feature `postgres`). Parameters: `?install=yes` installs ours where there is none, `?install=adopt` adds our functions to a Message DB, `?install=leases` leases alone, `?pooler=transaction` for a pooler in that mode, `?connections=20` at most (10), `?wakeups=no` for subscribers that hear of other processes by polling alone, `?group_append=no` for writers that do not go in groups, and those of libpq (`sslmode=` with the feature `tls`). Several hosts as in libpq, `postgres://HOST,HOST/DATABASE`: the one that takes writes is found, also after a failover; `?target_session_attrs=standby` opens a store for reading on a standby |
///
/// # Errors
///
/// When the scheme is unknown or not built in, or the store cannot be opened.
///
/// # Examples
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), evenfold::Error> {
/// let store = evenfold::connect("memory:").await?;
/// assert_eq!(store.messages().name(), "memory");
///
/// let refused = evenfold::connect("mysql://localhost/bank").await.unwrap_err();
/// assert!(refused.is_invalid());
/// assert!(refused.to_string().starts_with("store URL scheme `mysql`: "));
/// # Ok(())
/// # }
/// ```
pub async fn connect(url: &str) -> Result<Store, Error> {
    // A URL may hold a password, so an error shows the scheme alone.
    let scheme = url.split_once(':').map_or(url, |(scheme, _)| scheme);
    match scheme {
        _ if url == "memory:" => Ok(Store::new(Memory::new())),
        #[cfg(feature = "sqlite")]
        "sqlite" => Ok(Store::new(evenfold_sqlite::Sqlite::connect(url).await?)),
        #[cfg(feature = "postgres")]
        "postgres" | "postgresql" => {
            Ok(Store::new(evenfold_postgres::Postgres::connect(url).await?))
        }
        _ if scheme == url => {
            let rule = format!("there is no scheme; {}", rule(""));
            Err(Invalid::new("store URL", url, rule).into())
        }
        _ => Err(Invalid::new("store URL scheme", scheme, rule(scheme)).into()),
    }
}

fn rule(scheme: &str) -> &'static str {
    match scheme {
        "memory" => "a store in memory takes nothing more; write `memory:`",
        "sqlite" => "build with the feature `sqlite` of evenfold",
        "postgres" | "postgresql" => "build with the feature `postgres` of evenfold",
        _ => "write `memory:` or `sqlite://FILE`, or `postgres://HOST/DATABASE`",
    }
}
