//! The order of applications: as in the `.rel` file, but each behind those that it needs.

use std::collections::VecDeque;

use super::error::ScriptError;
use super::spec::AppSpec;
use crate::rel::RelFile;

/// The names of `list` without the first of each in `removed` (`--`).
pub(super) fn without(list: &[String], removed: &[String]) -> Vec<String> {
    let mut left = list.to_vec();
    for name in removed {
        if let Some(at) = left.iter().position(|found| found == name) {
            left.remove(at);
        }
    }
    left
}

/// Lists of used and included applications in the order of the `.rel` file; those that it does not
/// name, which are optional, come last (`sort_used_and_incl_appls`).
pub(super) fn lists_as_in(rel: &RelFile, mut applications: Vec<AppSpec>) -> Vec<AppSpec> {
    let position = |name: &String| {
        let found = rel
            .applications
            .iter()
            .position(|found| found.name == *name);
        found.unwrap_or(usize::MAX)
    };
    for application in &mut applications {
        application.included.sort_by_key(position);
        application.applications.sort_by_key(position);
    }
    applications
}

/// Each application behind those that it uses and includes (`sort_appls`).
pub(super) fn by_need(applications: Vec<AppSpec>) -> Result<Vec<AppSpec>, ScriptError> {
    let mut sorting = Sorting {
        left: applications.into(),
        ..Sorting::default()
    };
    while let Some(application) = sorting.left.pop_front() {
        sorting.place(application);
    }
    if !sorting.circular.is_empty() {
        return Err(ScriptError::Circular(unique(sorting.circular)));
    }
    if !sorting.missing.is_empty() {
        return Err(ScriptError::Undefined(unique(sorting.missing)));
    }
    Ok(sorting.done)
}

#[derive(Default)]
struct Sorting {
    done: Vec<AppSpec>,
    /// Applications that are not placed yet.
    left: VecDeque<AppSpec>,
    /// Those that were looked at.
    visited: Vec<Visited>,
    missing: Vec<String>,
    circular: Vec<String>,
}

#[derive(PartialEq, Eq)]
struct Visited {
    name: String,
    version: String,
}

impl Sorting {
    /// Places an application, or puts what it needs before it.
    fn place(&mut self, application: AppSpec) {
        let (uses, missing) = self.take(&application.name, &application.applications);
        self.missing
            .extend(without(&missing, &application.optional));
        let (includes, missing) = self.take(&application.name, &application.included);
        self.missing.extend(missing);
        let needed = [uses, includes].concat();
        let visited = Visited {
            name: application.name.clone(),
            version: application.version.clone(),
        };
        if needed.is_empty() {
            self.done.push(application);
        } else {
            self.put_before(needed, application);
        }
        self.visited.push(visited);
    }

    /// What was looked at already and still is not placed needs itself.
    fn put_before(&mut self, needed: Vec<AppSpec>, application: AppSpec) {
        let is_visited = |app: &AppSpec| {
            let mut visited = self.visited.iter();
            visited.any(|found| found.name == app.name && found.version == app.version)
        };
        let (again, first): (Vec<_>, Vec<_>) = needed.into_iter().partition(is_visited);
        if !again.is_empty() {
            self.circular.push(application.id());
            self.circular.extend(again.iter().map(AppSpec::id));
        }
        self.left.push_front(application);
        first
            .into_iter()
            .rev()
            .for_each(|app| self.left.push_front(app));
    }

    /// Takes the applications of these names from those that are left, in the order of the names, and
    /// tells which are nowhere (`find_all`).
    fn take(&mut self, user: &str, names: &[String]) -> (Vec<AppSpec>, Vec<String>) {
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        // From the last to the first: of two equal names the last one counts.
        for name in names.iter().rev() {
            let is_visited = || self.visited.iter().any(|visited| visited.name == *name);
            match self.left.iter().position(|app| app.name == *name) {
                // X may include Y, and Y use X.
                Some(at) if self.left[at].included.iter().any(|by| by == user) => {
                    if !is_visited() {
                        missing.push(name.clone());
                    }
                }
                Some(at) => found.extend(self.left.remove(at)),
                None if is_visited() => {}
                None => missing.push(name.clone()),
            }
        }
        found.reverse();
        (found, missing)
    }
}

fn unique(names: Vec<String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for name in names {
        if !unique.contains(&name) {
            unique.push(name);
        }
    }
    unique
}
