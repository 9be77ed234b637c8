//! What a projection's committed batch changed: what live streams are made of.

use app::{
    domain::{AccountId, UserId},
    wire::{AccountView, EventView, Position, StatementRow, TransferView, TrialBalanceLine},
};

/// A batch that a projection has committed. Sent after the commit, so that whoever reads now sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub projection: &'static str,
    /// What the projection has seen with this batch.
    pub position: Position,
    /// Each changed row once, as the batch left it; oldest change first.
    pub rows: Vec<Changed>,
}

/// One changed row, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    Account(AccountView),
    Statement {
        view: StatementRow,
        /// Of the account.
        owner: Option<UserId>,
    },
    /// A day of this account: its balances are summed by whoever shows them.
    Day(AccountId),
    Transfer {
        view: TransferView,
        from_owner: Option<UserId>,
        /// `None` until the destination has promised to take it: its owner may not see it before.
        to_owner: Option<UserId>,
    },
    TrialBalance(TrialBalanceLine),
    /// An event, whole: `metadata` and `actor` are for those who may see who did it, `actor_name` is left to the
    /// reader. Sent again, with an older position than the batch, when someone new may see it.
    Event {
        view: EventView,
        /// Who may see it besides admins.
        readers: Vec<UserId>,
    },
}

/// The tables of a projection were rebuilt: whatever was shown of them is to be read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reset {
    pub projection: &'static str,
    pub position: Position,
}

/// Collects what a batch changes.
#[derive(Debug, Default)]
pub struct Changes {
    /// `None`: nobody is told (a rebuild).
    rows: Option<Vec<Changed>>,
}

impl Changes {
    /// Keeps what it is given.
    pub fn kept() -> Self {
        Self { rows: Some(Vec::new()) }
    }

    /// Forgets what it is given.
    pub fn ignored() -> Self {
        Self { rows: None }
    }

    pub fn are_kept(&self) -> bool {
        self.rows.is_some()
    }

    /// Takes rows, made only if they are wanted.
    pub fn add<I: IntoIterator<Item = Changed>>(&mut self, rows: impl FnOnce() -> I) {
        if let Some(kept) = &mut self.rows {
            kept.extend(rows());
        }
    }

    pub fn into_rows(self) -> Vec<Changed> {
        self.rows.unwrap_or_default()
    }
}
