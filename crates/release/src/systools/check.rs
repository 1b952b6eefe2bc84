//! Whether applications fit together.

use std::collections::BTreeSet;

use super::error::{Clash, ScriptError};
use super::order::without;
use super::spec::AppSpec;
use crate::otp::Otp;
use crate::rel::{RelFile, StartType};

/// `kernel` and `stdlib` are there and permanent (`mandatory_applications`).
pub(super) fn mandatory(rel: &RelFile) -> Result<(), ScriptError> {
    for application in ["kernel", "stdlib"] {
        let found = rel
            .applications
            .iter()
            .find(|found| found.name == application);
        match found.map(|found| found.start) {
            Some(StartType::Permanent) => {}
            Some(start) => return Err(ScriptError::Mandatory { application, start }),
            None => return Err(ScriptError::MissingMandatory(application)),
        }
    }
    Ok(())
}

/// Applications with the start types and included applications that the `.rel` file gives them
/// (`override_include`).
pub(super) fn overridden(
    rel: &RelFile,
    mut applications: Vec<AppSpec>,
) -> Result<Vec<AppSpec>, ScriptError> {
    for (application, named) in applications.iter_mut().zip(&rel.applications) {
        application.start = named.start;
        let mut given = rel
            .applications
            .iter()
            .filter(|other| other.name == named.name);
        let Some(included) = given.find_map(|other| other.included.clone()) else {
            continue;
        };
        let unknown = included
            .iter()
            .filter(|name| !application.included.contains(name));
        let names: Vec<_> = unknown.cloned().collect();
        if !names.is_empty() {
            return Err(ScriptError::Include {
                application: application.name.clone(),
                names,
            });
        }
        application.included = included;
    }
    Ok(applications)
}

/// The first OTP whose lists may not repeat a name (systools_make.erl of OTP 27, `get_items`).
const UNIQUE_SINCE: u32 = 27;

/// Lists without repetitions, where OTP demands it.
pub(super) fn repeated(rel: &RelFile, applications: &[AppSpec]) -> Result<(), ScriptError> {
    if Otp::of_erts(&rel.erts).is_some_and(|otp| otp.major < UNIQUE_SINCE) {
        return Ok(());
    }
    for application in applications {
        let lists = [
            ("modules", &application.modules),
            ("registered", &application.registered),
            ("applications", &application.applications),
            ("optional_applications", &application.optional),
            ("included_applications", &application.included),
        ];
        for (key, list) in lists {
            let mut seen = BTreeSet::new();
            let again = list.iter().filter(|name| !seen.insert(*name));
            let names: Vec<_> = again.cloned().collect();
            if !names.is_empty() {
                return Err(ScriptError::Repeated {
                    application: application.name.clone(),
                    key,
                    names,
                });
            }
        }
    }
    Ok(())
}

/// References between applications lead somewhere, and nothing is claimed twice; those that use an
/// included application then use the one that includes it (`check_applications`).
pub(super) fn applications(applications: Vec<AppSpec>) -> Result<Vec<AppSpec>, ScriptError> {
    undefined(&applications)?;
    let registered = claims(&applications, |application| &application.registered);
    unique(registered, ScriptError::Registered)?;
    let included = claims(&applications, |application| &application.included);
    unique(included.clone(), ScriptError::IncludedTwice)?;
    let tops = Tops(included);
    let used = applications
        .iter()
        .map(|application| tops.used_by(application));
    let used: Vec<_> = used.collect::<Result<_, _>>()?;
    let mut applications = applications;
    for (application, used) in applications.iter_mut().zip(used) {
        application.applications = used;
    }
    Ok(applications)
}

/// Module names are unique (`check_modules`).
pub(super) fn modules(applications: &[AppSpec]) -> Result<(), ScriptError> {
    let modules = claims(applications, |application| &application.modules);
    unique(modules, ScriptError::Modules)
}

/// `undefined_applications`.
fn undefined(applications: &[AppSpec]) -> Result<(), ScriptError> {
    let defined: BTreeSet<_> = applications
        .iter()
        .map(|found| found.name.as_str())
        .collect();
    let mut missing = Vec::new();
    for application in applications {
        let mut needed = without(&application.applications, &application.optional);
        needed.extend(application.included.iter().cloned());
        missing.extend(
            needed
                .into_iter()
                .filter(|name| !defined.contains(name.as_str())),
        );
    }
    if missing.is_empty() {
        return Ok(());
    }
    let mut seen = BTreeSet::new();
    missing.retain(|name| seen.insert(name.clone()));
    Err(ScriptError::Undefined(missing))
}

/// A name and the application that claims it.
type Claim = (String, String);

fn claims(applications: &[AppSpec], names: impl Fn(&AppSpec) -> &Vec<String>) -> Vec<Claim> {
    let claims = applications.iter().flat_map(|application| {
        let names = names(application).iter();
        names.map(|name| (name.clone(), application.name.clone()))
    });
    claims.collect()
}

/// `duplicates`.
fn unique(
    mut claims: Vec<Claim>,
    error: impl Fn(Vec<Clash>) -> ScriptError,
) -> Result<(), ScriptError> {
    claims.sort_by(|(one, _), (other, _)| one.cmp(other));
    let pairs = claims.windows(2).filter_map(|pair| match pair {
        [(name, first), (same, second)] if name == same => Some(Clash {
            name: name.clone(),
            first: first.clone(),
            second: second.clone(),
        }),
        _ => None,
    });
    let clashes: Vec<_> = pairs.collect();
    if clashes.is_empty() {
        Ok(())
    } else {
        Err(error(clashes))
    }
}

/// Which application includes which: pairs of the included and the including one.
struct Tops(Vec<Claim>);

impl Tops {
    fn including(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(included, _)| included == name);
        found.map(|(_, by)| by.as_str())
    }

    /// The outermost application that includes this one (`find_top_app`), which OTP looks for without
    /// end if applications include each other.
    fn top<'a>(&'a self, name: &'a str) -> Result<&'a str, ScriptError> {
        let mut path = vec![name];
        let mut top = name;
        while let Some(next) = self.including(top) {
            if path.contains(&next) {
                let circle = path.into_iter().map(Into::into).collect();
                return Err(ScriptError::Circular(circle));
            }
            path.push(next);
            top = next;
        }
        Ok(top)
    }

    /// What an application uses, with the outermost application in place of each included one
    /// (`add_top_apps_to_uses`).
    fn used_by(&self, application: &AppSpec) -> Result<Vec<String>, ScriptError> {
        let own = self.top(&application.name)?;
        let mut uses = application.applications.clone();
        for used in &application.applications {
            if used == own {
                // An included application may use the one that includes it.
                remove(&mut uses, own);
                continue;
            }
            let Some(including) = self.including(used) else {
                continue;
            };
            let top = self.top(including)?;
            if uses.iter().any(|name| name == top) {
                remove(&mut uses, used);
            } else if top != own {
                remove(&mut uses, used);
                uses.push(top.into());
            }
        }
        Ok(uses)
    }
}

/// Removes the first of these names.
fn remove(names: &mut Vec<String>, name: &str) {
    if let Some(at) = names.iter().position(|found| found == name) {
        names.remove(at);
    }
}
