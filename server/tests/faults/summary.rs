//! What was tried, how often, and what was found: one table at the end, also where something failed.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

type Row = [String; 4];

/// Printed once nobody has it any more.
#[derive(Clone)]
pub struct Summary(Arc<Table>);

struct Table {
    rows: Mutex<Vec<Row>>,
    started: Instant,
}

/// Something that is tried now; a row that says so stands until it is found whole.
pub struct Trial {
    table: Arc<Table>,
    row: usize,
    since: Instant,
}

impl Summary {
    pub fn begin(seed: u64) -> Self {
        say(&format!("faults: seed {seed} (DAYBOOK_TEST_SEED)"));
        Self(Arc::new(Table { rows: Mutex::default(), started: Instant::now() }))
    }

    pub fn try_out(&self, what: &str) -> Trial {
        let mut rows = self.0.rows.lock().unwrap();
        rows.push([what.to_owned(), String::new(), String::new(), "NOT FOUND WHOLE, see above".to_owned()]);
        Trial { table: self.0.clone(), row: rows.len() - 1, since: Instant::now() }
    }
}

impl Trial {
    /// All that has to hold held.
    pub fn found(self, times: u64, found: String) {
        let took = seconds(self.since.elapsed());
        let mut rows = self.table.rows.lock().unwrap();
        let row = &mut rows[self.row];
        say(&format!("faults: {}: {times} times in {took}: {found}", row[0]));
        [row[1], row[2], row[3]] = [times.to_string(), took, found];
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

/// To the real standard error: what a test prints is kept from view where it passes.
fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").ok();
}

impl Drop for Table {
    fn drop(&mut self) {
        let head = ["fault", "times", "took", "found"].map(str::to_owned);
        let rows = self.rows.get_mut().unwrap();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or_default()
        };
        let widths = [width(0), width(1), width(2)];
        say("");
        for [what, times, took, found] in [&head].into_iter().chain(&*rows) {
            say(&format!("  {what:<0$}  {times:>1$}  {took:>2$}  {found}", widths[0], widths[1], widths[2]));
        }
        say(&format!("\n  in {}\n", seconds(self.started.elapsed())));
    }
}
