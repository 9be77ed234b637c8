//! `daybook serve`: a node with the web in front of it, until it is told to stop.

use std::{net::TcpListener, num::NonZeroU32, process::ExitCode, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::AbortOnDropHandle,
};

use super::node::{Node, Waiting};
use crate::{
    config::{DataDir, ServeArgs},
    metrics::{self, Metrics},
    trace::Exporting,
    web::{self, AppState, WebOptions, front::Front, listen::Tls},
};

/// The files get this long to be closed once the last answer is out.
const CLOSING: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
pub async fn run(data: &DataDir, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let stopping = CancellationToken::new();
    tokio::spawn({
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stopping = stopping.clone();
        async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::info!("stopping");
            stopping.cancel();
        }
    });
    let listener = bind(&args)?;
    serve(data, &args, listener, stopping).await?;
    Ok(ExitCode::SUCCESS)
}

/// The socket, unless passwords would cross a network in the clear without anyone having said so.
fn bind(args: &ServeArgs) -> anyhow::Result<TcpListener> {
    if !args.listen.ip().is_loopback() && args.tls_cert.is_none() && !args.allow_insecure_http {
        bail!(
            "others than this machine can reach {}, and over plain HTTP they would send passwords in the clear: \
             give --tls-cert and --tls-key, or say --allow-insecure-http",
            args.listen
        );
    }
    TcpListener::bind(args.listen).with_context(|| format!("listening on {}", args.listen))
}

/// Serves on `listener` until `stopping` is cancelled. While the node waits for what it needs, whoever asks is told so.
pub async fn serve(
    data: &DataDir,
    args: &ServeArgs,
    listener: TcpListener,
    stopping: CancellationToken,
) -> anyhow::Result<()> {
    // Before anything is made that would have to be cleared away.
    let tls = match (&args.tls_cert, &args.tls_key) {
        (Some(certificate), Some(key)) => Some(Tls::read(certificate, key)?),
        (Some(_) | None, _) => None,
    };
    // Held until everything is closed.
    let Some(_lock) = data.lock().with_context(|| format!("locking the data folder {data}"))? else {
        bail!("another daybook serves the data folder {data} already");
    };
    let options = WebOptions {
        public_url: args.public_url.clone(),
        tls: tls.is_some(),
        exposed: !args.listen.ip().is_loopback(),
        trusted_proxies: args.trusted_proxy.clone(),
        max_requests: args.max_requests,
        request_timeout: args.request_timeout,
        rate_limit: NonZeroU32::new(args.rate_limit),
        ..WebOptions::default()
    };
    let metrics = args
        .metrics_listen
        .map(|address| TcpListener::bind(address).with_context(|| format!("listening on {address} for metrics")));
    let metrics = metrics.transpose()?;
    #[cfg(all(feature = "command", feature = "query"))]
    super::role::check(args)?;
    let name = args.role.name();
    let traces = args.otlp_endpoint.as_deref().map(|endpoint| Exporting::start(endpoint, name)).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let address = listener.local_addr()?;
    let (front, waiting) = (Front::default(), Waiting::default());
    let router = front.router(options.clone(), waiting.words());
    let serving = web::listen::serve(listener, tls, args.max_connections, router, stopping.clone());
    let mut serving = AbortOnDropHandle::new(tokio::spawn(serving));
    let starting = metrics.as_ref().map(|listener| show_starting(listener, name, &stopping)).transpose()?;
    // Before the keys are looked for: they are made with the data.
    #[cfg(all(feature = "command", feature = "query"))]
    if args.demo
        && let Some(people) = super::demo::fill(data).await.context("making demo data")?
    {
        super::demo::print(&people);
    }
    let role = super::role::choose(data, args)?;
    let node = tokio::select! {
        node = Node::run(role, &waiting) => node?,
        served = &mut serving => return served?.context("serving"),
        // Nothing was taken yet that would have to be drained.
        () = stopping.cancelled() => return Ok(()),
    };
    let (ports, tokens, live) = (node.ports.clone(), node.tokens.clone(), node.live.clone());
    let state = AppState::with_live(ports, tokens, live, options, stopping.clone());
    if let Some(listener) = metrics {
        show_metrics(listener, name, &node, &stopping)?;
        drop(starting);
    }
    // Why the process ends by itself, once it does.
    let found = watch::Sender::new(None);
    stop_if_replaced(&node, &stopping, &found);
    #[cfg(feature = "command")]
    if let Some(command) = &node.command {
        // Whoever watches this process is to start it again; what was confirmed is stored.
        tokio::spawn({
            let (ended, stopping, found) = (command.ended(), stopping.clone(), found.clone());
            async move {
                if stopping.run_until_cancelled(ended).await.is_some() {
                    let why = "a part of the command side has ended by itself: this process ends";
                    tracing::error!("{why}");
                    found.send_replace(Some(why.to_owned()));
                    stopping.cancel();
                }
            }
        });
    }
    front.open(web::router(state));
    tracing::info!("serving {data} at {scheme}://{address}");
    let served = serving.await?;
    if let Ok(stopped) = tokio::time::timeout(CLOSING, node.stop()).await {
        stopped?;
    } else {
        // Nothing that was confirmed depends on it: the log is durable, and views go on from their checkpoints.
        tracing::warn!("the databases were not closed in time");
    }
    if let Some(traces) = traces {
        traces.end().await;
    }
    if let Some(why) = found.borrow().clone() {
        bail!(why);
    }
    served.context("serving")
}

/// What there is to see of a process that starts, until this is dropped. The socket goes on listening then.
fn show_starting(
    listener: &TcpListener,
    role: &'static str,
    stopping: &CancellationToken,
) -> anyhow::Result<DropGuard> {
    let until = stopping.child_token();
    let serving = metrics::serve(listener.try_clone()?, Metrics::new(role), until.clone());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "metrics are not served yet");
        }
    });
    // Connections that are open end too: whoever holds one comes back to the real thing.
    Ok(until.drop_guard())
}

fn show_metrics(
    listener: TcpListener,
    role: &'static str,
    node: &Node,
    stopping: &CancellationToken,
) -> anyhow::Result<()> {
    let mut metrics = Metrics::new(role);
    #[cfg(feature = "command")]
    if let Some(side) = &node.command {
        metrics.show_command(|registry| side.metrics(registry));
    }
    #[cfg(feature = "query")]
    if let Some(side) = &node.query {
        metrics.show_query(|registry| side.metrics(registry));
    }
    tracing::info!("metrics are at http://{}/metrics", listener.local_addr()?);
    let serving = metrics::serve(listener, metrics, stopping.clone());
    tokio::spawn(async move {
        if let Err(error) = serving.await {
            tracing::error!(%error, "metrics are not served any more");
        }
    });
    Ok(())
}

/// Stops as soon as either side finds that the log is not the one that was published: each command would make it worse, and
/// each page would show what is not so.
fn stop_if_replaced(node: &Node, stopping: &CancellationToken, found: &watch::Sender<Option<String>>) {
    let stop = |stopping: CancellationToken, found: watch::Sender<_>, why: String| {
        found.send_replace(Some(why));
        stopping.cancel();
    };
    #[cfg(feature = "command")]
    if let Some(mut relay) = node.command.as_ref().and_then(super::command_side::CommandSide::relay) {
        let (stopping, found) = (stopping.clone(), found.clone());
        tokio::spawn(async move {
            let replaced = relay.wait_for(|status| status.replaced.is_some()).await;
            // Otherwise the relay has ended with its node.
            if let Some(replaced) = replaced.ok().and_then(|status| status.replaced.clone()) {
                stop(stopping, found, replaced.to_string());
            }
        });
    }
    #[cfg(feature = "query")]
    if let Some(replaced) = node.query.as_ref().map(super::query_side::QuerySide::replaced) {
        let (stopping, found) = (stopping.clone(), found.clone());
        tokio::spawn(async move {
            if let Some(replaced) = stopping.run_until_cancelled(replaced).await {
                stop(stopping.clone(), found, replaced.to_string());
            }
        });
    }
}
