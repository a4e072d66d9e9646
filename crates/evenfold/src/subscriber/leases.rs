//! The leases by which members of a group share a category.
//!
//! Owns how the store is asked for them. When, and what follows, is decided by the machine in
//! evenfold-core; how a store keeps them stands at `LeaseStore` there.

use evenfold_core::error::Invalid;
use evenfold_core::subscriber::Lane;

use super::work::{Share, Tenancy, Work};
use crate::{Error, StreamName};

/// The bucket that a stream falls to, as Message DB gives it to a member of a group of this size.
pub(super) fn bucket_of(buckets: u16, stream: &StreamName) -> Option<Lane> {
    let bucket = stream.cardinal_hash()?.unsigned_abs() % u64::from(buckets.max(1));
    Lane::try_from(bucket).ok()
}

impl Work {
    fn tenancy(&self) -> Result<&Tenancy, Error> {
        match &self.share {
            Share::Leased(tenancy) => Ok(tenancy),
            Share::Whole { .. } => {
                Err(Invalid::new("subscriber", &self.id, "it is no member").into())
            }
        }
    }

    /// Renews the leases, and takes those that are free for us: what is held, and what is to be given
    /// up.
    pub(super) async fn renew(&self) -> Result<(Vec<Lane>, Vec<Lane>), Error> {
        let Tenancy { group, member, term, .. } = self.tenancy()?;
        let held = self.store.messages().renew_leases(group, member, *term).await?;
        Ok((held.buckets(), held.surplus))
    }

    /// Gives a lane up.
    pub(super) async fn release(&self, lane: Lane) -> Result<(), Error> {
        let Tenancy { group, member, .. } = self.tenancy()?;
        self.store.messages().release_leases(group, member.id, &[lane]).await
    }

    /// Leaves the group.
    pub(super) async fn leave(&self) -> Result<(), Error> {
        let Tenancy { group, member, .. } = self.tenancy()?;
        self.store.messages().leave_group(group, member.id).await
    }
}
