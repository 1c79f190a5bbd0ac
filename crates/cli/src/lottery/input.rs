//! Reading files within their limits, and showing that work goes on.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use anyhow::{Context, bail};
use cortado_lottery::file::{self, FILE_BYTES_MAX, Instance, OneOrMany};
use indicatif::{ProgressBar, ProgressStyle};

/// Reads a whole file, or standard input for `-`, up to one byte beyond the limit, which the
/// parser then refuses.
pub(super) fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    let limit = FILE_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let shown = path.display();
    if path == Path::new("-") {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {shown}"))?;
        file.take(limit).read_to_end(&mut bytes)
    }
    .with_context(|| format!("cannot read {shown}"))?;
    Ok(bytes)
}

/// Reads an instance file.
pub(super) fn instances(path: &Path) -> anyhow::Result<OneOrMany<Instance>> {
    let bytes = bytes(path)?;
    file::parse(&bytes).with_context(|| format!("{} is no instance file", path.display()))
}

/// Picks one instance: by name, or the first.
pub(super) fn instance(path: &Path, name: Option<&str>) -> anyhow::Result<Instance> {
    let all = match instances(path)? {
        OneOrMany::One(instance) => vec![instance],
        OneOrMany::Many(instances) => instances,
    };
    let names: Vec<String> = all
        .iter()
        .map(|instance| format!("{:?}", instance.name))
        .collect();
    let wanted = |instance: &Instance| name.is_none_or(|name| instance.name == name);
    match all.into_iter().find(wanted) {
        Some(instance) => Ok(instance),
        None => match name {
            Some(name) => bail!(
                "no instance is named {name:?}; there are {}",
                names.join(", ")
            ),
            None => bail!("{} holds no instance", path.display()),
        },
    }
}

/// A bar on standard error; silent where nobody looks.
pub(super) fn progress(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    let bar = ProgressBar::new(length).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
