//! What holds in any history: random commands, transfers interleaved in any order, freezes and closings at any time.

use proptest::prelude::*;

use crate::{
    given::{czk, eur},
    world::{ACCOUNTS, Op, State, World},
};

fn amount() -> impl Strategy<Value = i64> {
    prop_oneof![8 => 1..200i64, 1 => Just(i64::MAX), 1 => i64::MAX - 200..i64::MAX, 1 => -5..1i64]
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0..ACCOUNTS;
    prop_oneof![
        4 => (n.clone(), amount()).prop_map(|(n, amount)| Op::Deposit(n, amount)),
        3 => (n.clone(), amount()).prop_map(|(n, amount)| Op::Withdraw(n, amount)),
        2 => (n.clone(), any::<usize>()).prop_map(|(n, which)| Op::Reverse(n, which)),
        1 => (n.clone(), prop_oneof![0..300i64, Just(i64::MAX), Just(-1)]).prop_map(|(n, limit)| Op::Limit(n, limit)),
        1 => n.clone().prop_map(Op::Freeze),
        1 => n.clone().prop_map(Op::Unfreeze),
        1 => n.clone().prop_map(Op::Close),
        5 => (n.clone(), n, amount()).prop_map(|(from, to, amount)| Op::Request(from, to, amount)),
        12 => any::<usize>().prop_map(Op::Deliver),
        4 => any::<usize>().prop_map(Op::Copy),
    ]
}

fn history() -> impl Strategy<Value = (i64, Vec<Op>)> {
    (prop_oneof![Just(0), 0..300i64, Just(i64::MAX)], prop::collection::vec(op(), 0..120))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The world checks after each event: no balance below its limit, held is the sum of holds, money is conserved.
    #[test]
    fn in_any_history_money_is_conserved_and_every_transfer_ends((limit, ops) in history(), order in any::<usize>()) {
        let mut world = World::new(limit);
        for op in &ops {
            world.run(op);
        }
        world.settle(order);
        prop_assert_eq!(world.unended(), vec![]);
        prop_assert_eq!((world.in_transit(czk()), world.in_transit(eur())), (0, 0));
        for account in world.state.accounts.values() {
            prop_assert_eq!((account.held, account.expected), (0, 0), "nothing stays set aside");
        }
    }

    #[test]
    fn replaying_all_is_replaying_a_prefix_and_then_the_rest((limit, ops) in history(), cut in any::<prop::sample::Index>()) {
        let mut world = World::new(limit);
        for op in &ops {
            world.run(op);
        }
        let cut = cut.index(world.log.len() + 1);
        let mut replayed = State::default();
        for recorded in &world.log[..cut] {
            replayed.apply(recorded);
        }
        let mut resumed = replayed.clone();
        for recorded in &world.log[cut..] {
            resumed.apply(recorded);
        }
        prop_assert_eq!(&resumed, &world.state);
    }
}

/// The random histories above are worth something only if the interesting things happen in them.
#[test]
fn random_histories_reach_every_outcome() {
    use crate::world::Recorded;
    use app::domain::account::AccountEvent as E;
    use proptest::{strategy::ValueTree, test_runner::TestRunner};

    let mut seen = std::collections::BTreeSet::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..400 {
        let (limit, ops) = history().new_tree(&mut runner).unwrap().current();
        let mut world = World::new(limit);
        ops.iter().for_each(|op| world.run(op));
        world.settle(0);
        seen.extend(world.log.iter().map(|recorded| match recorded {
            Recorded::Account(_, E::HoldDeclined { reason, .. }) => format!("hold declined: {reason:?}"),
            Recorded::Account(_, E::TransferDeclined { reason, .. }) => format!("transfer declined: {reason:?}"),
            Recorded::Account(_, event) => format!("{event:?}").split([' ', '{']).next().unwrap().to_owned(),
            Recorded::Transfer(_, event) => format!("{event:?}").split([' ', '{']).next().unwrap().to_owned(),
        }));
    }
    let reasons = ["AccountNotFound", "AccountFrozen", "AccountClosed"];
    let mut wanted: Vec<String> =
        ["HoldReleased", "HoldCaptured", "TransferCredited", "EntryReversed", "AccountClosed"]
            .into_iter()
            .chain(["TransferCompleted", "TransferFailed", "OverdraftLimitChanged", "AccountUnfrozen"])
            .map(str::to_owned)
            .collect();
    wanted.extend(reasons.iter().map(|reason| format!("transfer declined: {reason}")));
    wanted.extend(reasons.iter().map(|reason| format!("hold declined: {reason}")));
    wanted.push("hold declined: InsufficientFunds".to_owned());
    wanted.push("transfer declined: BalanceTooLarge".to_owned());
    wanted.push("transfer declined: CurrencyMismatch".to_owned());
    wanted.retain(|outcome| !seen.contains(outcome));
    assert_eq!(wanted, Vec::<String>::new(), "never seen");
}
