"""SQL is a lower-case literal inside the function that runs it, and stands in kasparro/store/ alone."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kasparro

ROOT = Path(kasparro.__file__).parent
FILES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}
STORE_FILES = [name for name in FILES if name.startswith("store/")]
RUN_SQL = {"execute", "executemany", "copy", "stream"}
# Migrations are files of SQL, so the one line that runs them has no literal.
FROM_A_FILE = {("store/migrate.py", "migration.script")}
KEYWORDS = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|WHERE|JOIN|ORDER BY|GROUP BY|CREATE|ALTER|DROP|VALUES|RETURNING|LIMIT|SET)\b"
)
STATEMENT = re.compile(
    r"^\s*(select\s[\s\S]*\sfrom|insert\s+into|update\s+\w+\s+set|delete\s+from|(create|alter|drop)\s+table)\s", re.I
)


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call of a method that runs SQL, with the statement as its first argument."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RUN_SQL:
            yield node


def strings(tree: ast.AST) -> Iterator[ast.Constant]:
    """Every string but docstrings."""
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements:
            yield node


def is_composed(node: ast.expr, tree: ast.AST) -> bool:
    """A psycopg.sql object: sql.SQL("...") and its format and join, or a name or function result that holds one."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "sql":
            return all(isinstance(arg, ast.Constant) for arg in node.args) or node.func.attr != "SQL"
        return node.func.attr in ("format", "join") and is_composed(node.func.value, tree)
    if isinstance(node, ast.Name):
        bound = [
            found.value
            for found in ast.walk(tree)
            if isinstance(found, ast.Assign) and any(ast.unparse(target) == node.id for target in found.targets)
        ]
        return bool(bound) and all(is_literal(value) or is_composed(value, tree) for value in bound)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        made = [found for found in ast.walk(tree) if isinstance(found, ast.FunctionDef) and found.name == node.func.id]
        return bool(made) and all(ast.unparse(one.returns or node).startswith("sql.") for one in made)
    return False


def is_literal(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


@pytest.mark.parametrize("name", STORE_FILES)
def test_statement_is_a_literal_or_composed_by_psycopg(name: str) -> None:
    """No f-string, %, + or str.format ever builds SQL."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    wrong = [
        f"{name}:{call.lineno}: {ast.unparse(call.args[0])}"
        for call in calls(tree)
        if call.args
        and not is_literal(call.args[0])
        and not is_composed(call.args[0], tree)
        and (name, ast.unparse(call.args[0])) not in FROM_A_FILE
    ]
    assert wrong == []


@pytest.mark.parametrize("name", STORE_FILES)
def test_sql_is_lower_case(name: str) -> None:
    """One way to write it, so that it can be searched."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    assert [f"{name}:{node.lineno}" for node in strings(tree) if KEYWORDS.search(str(node.value))] == []


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("store/")])
def test_sql_stands_in_the_store_alone(name: str) -> None:
    """Other layers call functions of the store."""
    tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
    runs = [
        call for call in calls(tree) if isinstance(call.func, ast.Attribute) and call.func.attr.startswith("execute")
    ]
    texts = [node for node in strings(tree) if STATEMENT.match(str(node.value))]
    assert [f"{name}:{node.lineno}" for node in [*runs, *texts]] == []
