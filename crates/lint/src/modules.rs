//! Compiled modules: what they carry, what they were compiled for, and what they call.

use std::collections::{BTreeMap, BTreeSet};

use beam::{Beam, BeamError, ChunkId, Export, Import};
use release::otp::{self, Otp};
use release::{GuestPath, TreeEntry};

use crate::finding::{Finding, Place};
use crate::nifs;
use crate::programs::is_of_the_language;
use crate::scan::{self, Spawn};
use crate::subject::Subject;
use crate::table::Code;

/// Something about modules.
#[derive(Debug, thiserror::Error)]
pub enum ModuleFact {
    /// Debug information is left in.
    #[error("{modules} modules of {applications} carry {} of debug information and documentation", kib(*.bytes))]
    DebugInfo {
        /// How many.
        modules: usize,
        /// Of which applications.
        applications: String,
        /// How much.
        bytes: usize,
    },
    /// Modules are compressed.
    #[error("{modules} modules of {applications} are compressed")]
    Compressed {
        /// How many.
        modules: usize,
        /// Of which applications.
        applications: String,
    },
    /// A module needs a newer loader.
    #[error("{module} uses instruction {highest}; ERTS {erts} knows them up to {known}")]
    Newer {
        /// The module.
        module: String,
        /// The highest opcode in it.
        highest: u32,
        /// Version of the run-time system.
        erts: String,
        /// The highest opcode that it has.
        known: u32,
    },
    /// A function does not exist.
    #[error("{callers} calls {function}, which does not exist")]
    MissingFunction {
        /// Who calls it.
        callers: String,
        /// `module:function/arity`.
        function: String,
    },
    /// Modules are called that are not there.
    #[error("{application} calls modules that are not in the release: {modules}")]
    MissingModules {
        /// Who calls.
        application: String,
        /// Whom.
        modules: String,
    },
    /// It is not a module.
    #[error("{path}: {error}")]
    Damaged {
        /// The file.
        path: GuestPath,
        /// What is wrong.
        error: BeamError,
    },
}

impl ModuleFact {
    /// The rule that it belongs to.
    pub fn code(&self) -> Code {
        match self {
            Self::DebugInfo { .. } => Code::DebugInfo,
            Self::Compressed { .. } => Code::Compressed,
            Self::Newer { .. } => Code::NewerModule,
            Self::MissingFunction { .. } => Code::MissingFunction,
            Self::Damaged { .. } => Code::DamagedModule,
            Self::MissingModules { .. } => Code::MissingModules,
        }
    }
}

fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// A module that was read.
#[derive(Debug)]
pub(crate) struct Module {
    /// Its file.
    pub(crate) path: GuestPath,
    /// The file's name without extension, by which it is loaded.
    pub(crate) file_name: String,
    /// The application, if it is in one: the name in `lib/NAME-VERSION`.
    pub(crate) application: Option<String>,
    /// Bytes of instructions.
    pub(crate) code_size: usize,
    /// What is in it.
    content: Result<Content, BeamError>,
}

/// What matters of a module's content.
#[derive(Debug)]
struct Content {
    compressed: bool,
    debug_bytes: usize,
    highest_opcode: u32,
    imports: Vec<Import>,
    exports: Vec<Export>,
    spawns: Vec<Spawn>,
    nif_names: Option<BTreeSet<String>>,
}

impl Module {
    /// Reads a `.beam` file; `None` for other entries, and for files that cannot be read (whoever
    /// reads them for the image tells).
    pub(crate) fn read(entry: &TreeEntry, directories: &Directories<'_>) -> Option<Self> {
        let name = std::str::from_utf8(entry.path.file_name()).ok()?;
        let file_name = name.strip_suffix(".beam")?.to_string();
        let bytes = entry.content().ok()??;
        let content = read_content(&bytes);
        let code_size = content.as_ref().map_or(0, |(_, size)| *size);
        Some(Self {
            application: application(&entry.path, directories),
            path: entry.path.clone(),
            file_name,
            code_size,
            content: content.map(|(content, _)| content),
        })
    }

    /// Programs that the module starts.
    pub(crate) fn spawns(&self) -> &[Spawn] {
        self.content.as_ref().map_or(&[], |content| &content.spawns)
    }

    /// If the module loads a library of native functions when it is loaded: what may be its name.
    pub(crate) fn nif_names(&self) -> Option<&BTreeSet<String>> {
        self.content.as_ref().ok()?.nif_names.as_ref()
    }
}

/// Names of applications by their directories.
pub(crate) type Directories<'a> = BTreeMap<&'a str, &'a str>;

/// The application whose directory is the third of `/release/lib/DIRECTORY/…`.
fn application(path: &GuestPath, directories: &Directories<'_>) -> Option<String> {
    let text = path.to_string();
    let below = text
        .strip_prefix(release::GUEST_ROOT)?
        .strip_prefix("/lib/")?;
    let directory = below.split('/').next()?;
    directories.get(directory).map(|&name| name.into())
}

/// Chunks that `beam_lib:strip/1` takes away and that have a size worth speaking of.
const DEBUG_CHUNKS: [ChunkId; 3] = [ChunkId::DEBUG_INFO, ChunkId::ABSTRACT_CODE, ChunkId::DOCS];

fn read_content(bytes: &[u8]) -> Result<(Content, usize), BeamError> {
    let plain = beam::uncompressed(bytes)?;
    let module = Beam::parse(&plain)?;
    let chunk_size = |id| module.chunk(id).map_or(0, <[u8]>::len);
    let debug_bytes = match module.has_debug_info() {
        true => DEBUG_CHUNKS.into_iter().map(chunk_size).sum(),
        false => 0,
    };
    let content = Content {
        compressed: beam::is_compressed(bytes),
        debug_bytes,
        highest_opcode: module.code()?.highest_opcode,
        imports: module.imports()?,
        exports: module.exports()?,
        spawns: scan::spawns(&module).unwrap_or_default(),
        nif_names: nifs::candidates(&module).unwrap_or_default(),
    };
    Ok((content, chunk_size(ChunkId::CODE)))
}

pub(crate) fn check(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for module in &subject.modules {
        let fact = match &module.content {
            Ok(content) => newer(subject, module, content),
            Err(error) => Some(ModuleFact::Damaged {
                path: module.path.clone(),
                error: error.clone(),
            }),
        };
        let place = Place::file(&module.path);
        findings.extend(fact.map(|fact| Finding::new(fact).at(place)));
    }
    let facts = debug_info(subject).into_iter().chain(compressed(subject));
    findings.extend(facts.map(Finding::new));
    missing_functions(subject, findings);
    findings.extend(missing_modules(subject).map(Finding::new));
}

fn newer(subject: &Subject<'_>, module: &Module, content: &Content) -> Option<ModuleFact> {
    let erts = subject.release.erts_version();
    let known = Otp::of_erts(erts)?.highest_opcode;
    (content.highest_opcode > known).then(|| ModuleFact::Newer {
        module: module.file_name.clone(),
        highest: content.highest_opcode,
        erts: erts.into(),
        known,
    })
}

/// The readable modules with their content.
fn readable<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = (&'a Module, &'a Content)> {
    let modules = subject.modules.iter();
    modules.filter_map(|module| Some((module, module.content.as_ref().ok()?)))
}

/// The applications of modules: by name, or how many there are.
fn applications<'a>(modules: impl Iterator<Item = &'a Module>) -> String {
    let names: BTreeSet<_> = modules
        .filter_map(|module| module.application.as_deref())
        .collect();
    let names: Vec<_> = names.into_iter().collect();
    match names.as_slice() {
        [] => "the release".into(),
        names if names.len() <= 4 => names.join(", "),
        names => format!("{} applications", names.len()),
    }
}

/// Less is not worth speaking of.
const DEBUG_THRESHOLD: usize = 64 << 10;

fn debug_info(subject: &Subject<'_>) -> Option<ModuleFact> {
    let with = || readable(subject).filter(|(_, content)| content.debug_bytes > 0);
    let bytes: usize = with().map(|(_, content)| content.debug_bytes).sum();
    (bytes >= DEBUG_THRESHOLD).then(|| ModuleFact::DebugInfo {
        modules: with().count(),
        applications: applications(with().map(|(module, _)| module)),
        bytes,
    })
}

fn compressed(subject: &Subject<'_>) -> Option<ModuleFact> {
    let all = || readable(subject).filter(|(_, content)| content.compressed);
    let modules = all().count();
    (modules > 0).then(|| ModuleFact::Compressed {
        modules,
        applications: applications(all().map(|(module, _)| module)),
    })
}

/// Handles calls of functions that do not exist (`error_handler`).
const HANDLER: (&str, u32) = ("$handle_undefined_function", 2);

/// Functions that the compiler adds to every module.
const ADDED: [(&str, u32); 2] = [("module_info", 0), ("module_info", 1)];

fn missing_functions(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let mut exports: BTreeMap<&str, BTreeSet<(&str, u32)>> = BTreeMap::new();
    for (module, content) in readable(subject) {
        let names = content
            .exports
            .iter()
            .map(|e| (e.function.as_str(), e.arity));
        exports.entry(&module.file_name).or_default().extend(names);
    }
    let erts = subject.release.erts_version();
    let exists = |import: &Import| {
        let wanted = (import.function.as_str(), import.arity);
        match exports.get(import.module.as_str()) {
            Some(known) => {
                known.contains(&wanted) || known.contains(&HANDLER) || ADDED.contains(&wanted)
            }
            // Preloaded, or not in the release at all: its applications are judged elsewhere.
            None => import.module != "erlang" || otp::has_bif(&import.function, import.arity, erts),
        }
    };
    let mut missing: BTreeMap<&Import, Vec<&Module>> = BTreeMap::new();
    for (module, content) in readable(subject) {
        for import in content.imports.iter().filter(|import| !exists(import)) {
            missing.entry(import).or_default().push(module);
        }
    }
    findings.extend(missing.into_iter().map(|(import, callers)| {
        let function = format!("{}:{}/{}", import.module, import.function, import.arity);
        let place = Place::file(&callers[0].path);
        let callers = scan::names(callers.iter().map(|module| module.file_name.as_str()));
        Finding::new(ModuleFact::MissingFunction { callers, function }).at(place)
    }));
}

/// Calls of modules that are nowhere, by the application that calls. OTP's own applications and
/// Elixir's call many that are there only with certain others.
fn missing_modules<'a>(subject: &'a Subject<'_>) -> impl Iterator<Item = ModuleFact> + 'a {
    let known = subject.module_names();
    // Of the newest OTP: a module that an older one lacks is no more missing than it was.
    let preloaded = otp::preloaded(None);
    let mut missing: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (module, content) in readable(subject) {
        let application = module.application.as_deref().unwrap_or("the release");
        if is_of_the_language(application) {
            continue;
        }
        let called = content.imports.iter().map(|import| import.module.as_str());
        let absent = called.filter(|name| !known.contains(name) && !preloaded.contains(name));
        missing.entry(application).or_default().extend(absent);
    }
    missing.retain(|_, modules| !modules.is_empty());
    missing
        .into_iter()
        .map(|(application, modules)| ModuleFact::MissingModules {
            application: application.into(),
            modules: scan::names(modules.into_iter()),
        })
}
