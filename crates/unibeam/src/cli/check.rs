//! The flags of `unibeam check`.

use super::{ConfigArgs, ContentArgs, Memory};
use clap::Args;
use lint::{RULES, Rule};
use std::str::FromStr;

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) content: Option<ContentArgs>,

    /// Memory that the machine is to have, in MiB or with a suffix M or G
    #[arg(short, long, value_name = "SIZE", default_value = "256M")]
    pub(crate) memory: Memory,

    /// Leave out the findings of this rule; repeatable
    #[arg(long, value_name = "CODE")]
    pub(crate) allow: Vec<RuleArg>,

    /// End with status 3 if there are warnings, too
    #[arg(long)]
    pub(crate) strict: bool,

    #[command(flatten)]
    pub(crate) config: ConfigArgs,

    /// Report as JSON on standard output
    #[arg(long)]
    pub(crate) json: bool,

    /// Show errors and warnings only
    #[arg(short, long, conflicts_with = "json")]
    pub(crate) quiet: bool,

    /// Explain a rule, and do nothing else
    #[arg(long, value_name = "CODE", exclusive = true)]
    pub(crate) explain: Option<RuleArg>,

    /// List all rules, and do nothing else
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,
}

const EXAMPLES: &str = "\
The exit status is 1 if something would stop `unibeam image` or the boot; docs/exit-status.md lists
the others, docs/checks.md all rules.

Examples:
  unibeam check _build/prod/rel/my_app
  unibeam check _build/prod/rel/my_app --add /bin/sh --allow UB601 --strict
  unibeam check --explain UB206";

/// A rule, by its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RuleArg(pub(crate) &'static Rule);

/// Why a code is refused.
#[derive(Debug, thiserror::Error)]
#[error("there is no such rule; the codes are {} to {} (`unibeam check --list`)", RULES[0].code, RULES[RULES.len() - 1].code)]
pub(crate) struct NoSuchRule;

impl FromStr for RuleArg {
    type Err = NoSuchRule;

    fn from_str(text: &str) -> Result<Self, NoSuchRule> {
        Rule::named(text).map(Self).ok_or(NoSuchRule)
    }
}
