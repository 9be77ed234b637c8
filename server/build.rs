//! Says where the browser's side lies: the folder that `.build/site.sh` fills and `src/web/assets.rs` serves or embeds.
//!
//! `DAYBOOK_SITE` names another folder. A folder that is not there is made, so that the server compiles, and its tests run,
//! before any bundle was built.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DAYBOOK_SITE");

    // A debug build reads the folder while it runs, so it looks at the bundle that is quick to build and is never compiled
    // again because of it.
    let debug = env::var("PROFILE")? == "debug";
    let workspace = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let site = if let Some(chosen) = env::var_os("DAYBOOK_SITE") {
        workspace.join(chosen)
    } else {
        let target = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        workspace.join(target).join(if debug { "site-dev" } else { "site" })
    };
    fs::create_dir_all(&site)?;
    let site = site.canonicalize()?;

    println!("cargo::rustc-env=DAYBOOK_SITE={}", site.display());
    if !debug {
        println!("cargo::rerun-if-changed={}", site.display());
    }
    Ok(())
}
