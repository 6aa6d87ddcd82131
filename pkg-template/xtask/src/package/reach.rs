//! Moves the functions that JavaScript calls from the module's exports into a table.
//!
//! For each signature among the exports an engine generates the code by which JavaScript calls it. V8 does that when it
//! compiles the module: for some fifty signatures it took as long as the rest of compiling. A function in a table
//! becomes callable when it is taken out, so a program pays only for what it calls. Instances are also made in less
//! time.

use anyhow::{Context, Result, ensure};
use walrus::{ConstExpr, ElementItems, ElementKind, ExportItem, ModuleConfig, RefType, ir::Value};

/// The export that is the table.
const TABLE: &str = "functions";

/// The imports and exports of the module.
#[derive(Default)]
pub(super) struct Reach {
    /// The former exports, in the order of the table. Exports that the script never uses are dropped.
    names: Vec<String>,
    /// The names of the imported functions, which end in hashes; the n-th becomes `i` followed by n.
    imports: Vec<String>,
}

impl Reach {
    /// The module with its table, and the description of it.
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

    /// The script with the short import names. It takes a function out of the table at its first call, and does so at
    /// the call itself: a call site that has seen something else before the function would keep an engine from inlining
    /// it.
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

    /// JavaScript: `reach(exports)`, which makes the script's `wasm`. It has a property for every function, so that all
    /// instances have one shape, and contains the functions that are passed on.
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

    /// The functions that the script only calls, with their indices.
    fn lazy<'a>(&'a self, script: &'a str) -> impl Iterator<Item = (usize, &'a String)> {
        let called = |name: &str| uses(script, name).all(|rest| rest.starts_with('('));
        self.names.iter().enumerate().filter(move |(_, name)| called(name))
    }
}

/// The text after each occurrence of an export's name in the script.
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
