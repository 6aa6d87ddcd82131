//! What the host may call, out of the module's exports and into a table.
//!
//! For each signature among the exported functions an engine makes the code by which JavaScript calls it, and V8 does so when it
//! compiles the module: of some fifty signatures that took as long as all else about compiling. What lies in a table is made
//! callable when it is taken out, so that a program pays for what it calls; an instance is made in less time, too.

use anyhow::{Context, Result, ensure};
use walrus::{ConstExpr, ElementItems, ElementKind, ExportItem, ModuleConfig, RefType, ir::Value};

/// The export that the functions are found in.
const TABLE: &str = "functions";

/// What crosses the module's edge.
#[derive(Default)]
pub(super) struct Reach {
    /// The functions that were exported, in the order of the table; what the script never asks for is exported no more.
    names: Vec<String>,
    /// The names of the functions that are imported, which end in hashes: of the n-th, `i` and n is left.
    imports: Vec<String>,
}

impl Reach {
    /// The module with its table, and what is where.
    pub(super) fn make(module: &[u8], script: &str) -> Result<(Vec<u8>, Self)> {
        let mut config = ModuleConfig::new();
        config.generate_name_section(false).generate_producers_section(false);
        let mut module = config.parse(module).context("reading the module")?;
        let (mut names, mut functions) = (Vec::new(), Vec::new());
        let exports: Vec<_> =
            module.exports.iter().map(|export| (export.id(), export.name.clone(), export.item)).collect();
        for (id, name, item) in exports {
            let used = uses(script, &name).next().is_some();
            if let (ExportItem::Function(function), true) = (item, used) {
                names.push(name);
                functions.push(function);
            } else if used {
                continue;
            }
            module.exports.delete(id);
        }
        ensure!(!names.is_empty(), "the script calls nothing of the module");
        let size = u64::try_from(names.len())?;
        let table = module.tables.add_local(false, size, Some(size), RefType::FUNCREF);
        let kind = ElementKind::Active { table, offset: ConstExpr::Value(Value::I32(0)) };
        let segment = module.elements.add(kind, ElementItems::Functions(functions));
        module.tables.get_mut(table).elem_segments.insert(segment);
        module.exports.add(TABLE, table);
        let mut imports = Vec::new();
        for import in module.imports.iter_mut() {
            let short = format!("i{}", imports.len());
            imports.push(std::mem::replace(&mut import.name, short));
        }
        Ok((module.emit_wasm(), Self { names, imports }))
    }

    /// The script with the short names of what the module imports, which takes a function out of the table when it calls it first. It
    /// does so where it calls: what a call has met before it met the function would keep an engine from joining the two.
    pub(super) fn applied(&self, mut script: String) -> Result<String> {
        for (at, name) in self.imports.iter().enumerate() {
            let defined = format!("            {name}: function(");
            ensure!(script.matches(&defined).count() == 1, "wasm-bindgen's script does not define {name} once");
            script = script.replace(&defined, &format!("            i{at}: function("));
        }
        for (at, name) in self.lazy(&script.clone()) {
            script = script.replace(&format!("wasm.{name}("), &format!("(wasm.{name} ??= wasm.{TABLE}.get({at}))("));
        }
        Ok(script)
    }

    /// JavaScript: `reach(exports)`, what the script calls `wasm`; with room for every function, so that one instance is like the next,
    /// and those in it that are handed on.
    pub(super) fn script(&self, script: &str) -> String {
        let lazy: Vec<usize> = self.lazy(script).map(|(at, _)| at).collect();
        let fields = self.names.iter().enumerate().map(|(at, name)| {
            if lazy.contains(&at) { format!("{name}: undefined, ") } else { format!("{name}: {TABLE}.get({at}), ") }
        });
        let fields: String = fields.collect();
        format!(
            "function reach({{ {TABLE}, memory, __wbindgen_externrefs }}) {{\n    \
             return {{ {fields}{TABLE}, memory, __wbindgen_externrefs }};\n}}\n"
        )
    }

    /// The functions that the script only calls, with their places.
    fn lazy<'a>(&'a self, script: &'a str) -> impl Iterator<Item = (usize, &'a String)> {
        let called = |name: &str| uses(script, name).all(|rest| rest.starts_with('('));
        self.names.iter().enumerate().filter(move |(_, name)| called(name))
    }
}

/// What follows each time that the script names an export.
fn uses<'a>(script: &'a str, name: &'a str) -> impl Iterator<Item = &'a str> {
    let rests =
        script.match_indices("wasm.").filter_map(move |(at, dot)| script.get(at + dot.len()..)?.strip_prefix(name));
    rests.filter(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use walrus::{FunctionBuilder, Module, ValType};

    /// A module that imports `given` and exports `asked`, `handed` and `idle`.
    fn module() -> Vec<u8> {
        let mut module = Module::default();
        let taking = module.types.add(&[ValType::I32], &[]);
        module.add_import_func("host", "given_01ab", taking);
        for name in ["asked", "handed", "idle"] {
            let function = FunctionBuilder::new(&mut module.types, &[], &[]).finish(vec![], &mut module.funcs);
            module.exports.add(name, function);
        }
        module.emit_wasm()
    }

    const SCRIPT: &str =
        "wasm.asked(); wasm.asked_more(); pass(wasm.handed); {\n            given_01ab: function(a) {}\n}";

    #[test]
    fn no_function_is_exported_and_what_the_script_asks_for_is_in_the_table() -> Result<()> {
        let (bytes, reach) = Reach::make(&module(), SCRIPT)?;
        let module = Module::from_buffer(&bytes)?;
        let exports: Vec<_> = module.exports.iter().map(|export| export.name.as_str()).collect();
        assert_eq!(exports, [TABLE]);
        assert_eq!(reach.names, ["asked", "handed"]);
        assert_eq!(module.tables.iter().map(|table| table.initial).collect::<Vec<_>>(), [2]);
        let script = reach.script(SCRIPT);
        assert!(script.contains("{ asked: undefined, handed: functions.get(1), functions, memory,"), "{script}");
        let applied = reach.applied(SCRIPT.into())?;
        assert!(applied.starts_with("(wasm.asked ??= wasm.functions.get(0))(); wasm.asked_more();"), "{applied}");
        assert!(applied.contains("pass(wasm.handed)"), "{applied}");
        Ok(())
    }

    #[test]
    fn imports_have_short_names_on_both_sides() -> Result<()> {
        let (bytes, reach) = Reach::make(&module(), SCRIPT)?;
        let module = Module::from_buffer(&bytes)?;
        assert_eq!(module.imports.iter().map(|import| import.name.as_str()).collect::<Vec<_>>(), ["i0"]);
        assert!(reach.applied(SCRIPT.into())?.contains("            i0: function(a)"));
        assert!(reach.applied("wasm.asked()".into()).is_err());
        Ok(())
    }

    #[test]
    fn a_script_that_calls_nothing_stops_the_build() {
        assert!(Reach::make(&module(), "").is_err());
    }
}
