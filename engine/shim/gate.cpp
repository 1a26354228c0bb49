// The walk over a parsed SELECT. It decides nothing itself but what it does not know: that is forbidden.
// On its way it also tells which columns the SELECT names.

#include "internal.hpp"

#include "duckdb/parser/expression/columnref_expression.hpp"
#include "duckdb/parser/expression/function_expression.hpp"
#include "duckdb/parser/expression/subquery_expression.hpp"
#include "duckdb/parser/expression/window_expression.hpp"
#include "duckdb/parser/parsed_expression_iterator.hpp"
#include "duckdb/parser/parser.hpp"
#include "duckdb/parser/query_node/recursive_cte_node.hpp"
#include "duckdb/parser/query_node/select_node.hpp"
#include "duckdb/parser/query_node/set_operation_node.hpp"
#include "duckdb/parser/tableref/list.hpp"

namespace duckblind {

using namespace duckdb; // NOLINT: a page of its class names follows

// Deeper statements are refused: the walk recurses.
static constexpr idx_t MAX_DEPTH = 1000;

namespace {

struct Refusal {};

class Walker {
public:
	explicit Walker(const dbl_judge &judge_p) : judge(judge_p) {
	}

	void Node(const QueryNode &node) {
		Deeper deeper(*this);
		Scope scope(*this);
		// A CTE sees those before it, not itself and none after it: there its name is the catalog's.
		for (auto &entry : node.cte_map.map) {
			auto &cte = *entry.second;
			WithoutNames(cte.key_targets);
			WithoutNames(cte.payload_aggregates);
			if (cte.query_node) {
				Node(*cte.query_node);
			}
			names.push_back(entry.first);
		}
		switch (node.type) {
		case QueryNodeType::SELECT_NODE: {
			auto &select = node.Cast<SelectNode>();
			All(select.select_list);
			All(select.groups.group_expressions);
			Maybe(select.where_clause);
			Maybe(select.having);
			Maybe(select.qualify);
			if (select.from_table) {
				Table(*select.from_table);
			}
			break;
		}
		case QueryNodeType::SET_OPERATION_NODE:
			for (auto &child : node.Cast<SetOperationNode>().children) {
				Node(*child);
			}
			break;
		case QueryNodeType::RECURSIVE_CTE_NODE: {
			auto &recursive = node.Cast<RecursiveCTENode>();
			WithoutNames(recursive.key_targets);
			Node(*recursive.left);
			// Only the right side sees the CTE itself.
			Scope right(*this);
			names.push_back(recursive.ctename);
			Node(*recursive.right);
			break;
		}
		default:
			// INSERT, UPDATE, DELETE, MERGE and COPY inside WITH, and whatever comes after this version.
			Forbidden("a statement inside the query that is not a SELECT", QueryLocation());
		}
		for (auto &modifier : node.modifiers) {
			Modifier(*modifier);
		}
	}

private:
	//! Names pushed while it lives are forgotten with it.
	struct Scope {
		explicit Scope(Walker &walker_p) : walker(walker_p), mark(walker_p.names.size()) {
		}
		~Scope() {
			walker.names.resize(mark);
		}
		Walker &walker;
		size_t mark;
	};
	struct Deeper {
		explicit Deeper(Walker &walker_p) : walker(walker_p) {
			if (++walker.depth > MAX_DEPTH) {
				walker.Forbidden("a query nested too deeply", QueryLocation());
			}
		}
		~Deeper() {
			--walker.depth;
		}
		Walker &walker;
	};

	void Meet(dbl_met met, const string &name, QueryLocation location) {
		auto position = location.IsValid() ? static_cast<int64_t>(location.Start()) : -1;
		auto bytes = reinterpret_cast<const uint8_t *>(name.data());
		if (judge.meet(judge.ctx, met, bytes, name.size(), position) != 0) {
			throw Refusal();
		}
	}
	[[noreturn]] void Forbidden(const string &what, QueryLocation location) {
		Meet(DBL_MET_FORBIDDEN, what, location);
		throw Refusal();
	}

	void All(const vector<unique_ptr<ParsedExpression>> &expressions) {
		for (auto &expression : expressions) {
			Maybe(expression);
		}
	}
	//! USING KEY is bound by a binder that knows no CTE at all.
	void WithoutNames(const vector<unique_ptr<ParsedExpression>> &expressions) {
		vector<Identifier> hidden;
		names.swap(hidden);
		All(expressions);
		names.swap(hidden);
	}
	void Maybe(const unique_ptr<ParsedExpression> &expression) {
		if (expression) {
			Expression(*expression);
		}
	}
	void Expression(const ParsedExpression &expression) {
		Deeper deeper(*this);
		switch (expression.GetExpressionClass()) {
		case ExpressionClass::FUNCTION:
			Meet(DBL_MET_FUNCTION, expression.Cast<FunctionExpression>().FunctionName().GetIdentifierName(),
			     expression.GetQueryLocation());
			break;
		case ExpressionClass::SUBQUERY:
			Node(*expression.Cast<SubqueryExpression>().Subquery()->node);
			break;
		case ExpressionClass::COLUMN_REF:
			Path(DBL_MET_COLUMN, expression.Cast<ColumnRefExpression>().ColumnNames(), expression.GetQueryLocation());
			break;
		case ExpressionClass::STAR:
		case ExpressionClass::POSITIONAL_REFERENCE:
			Meet(DBL_MET_ANY_COLUMN, string(), expression.GetQueryLocation());
			break;
		default:
			break;
		}
		ParsedExpressionIterator::EnumerateChildren(expression,
		                                            [&](const ParsedExpression &child) { Expression(child); });
	}

	void Modifier(const ResultModifier &modifier) {
		switch (modifier.type) {
		case ResultModifierType::LIMIT_MODIFIER: {
			auto &limit = modifier.Cast<LimitModifier>();
			Maybe(limit.limit);
			Maybe(limit.offset);
			break;
		}
		case ResultModifierType::ORDER_MODIFIER:
			for (auto &order : modifier.Cast<OrderModifier>().orders) {
				Maybe(order.expression);
			}
			break;
		case ResultModifierType::DISTINCT_MODIFIER:
			All(modifier.Cast<DistinctModifier>().distinct_on_targets);
			break;
		default:
			Forbidden("an unknown result modifier", QueryLocation());
		}
	}

	bool IsCommonTableExpression(const QualifiedName &name) {
		auto &path = name.Path();
		if (path.size() > 2 || (path.size() == 2 && !(path[0] == Identifier("recurring")))) {
			return false;
		}
		for (auto &known : names) {
			if (known == name.Name()) {
				return true;
			}
		}
		return false;
	}
	//! Components are joined by a byte that no identifier can hold, so that "a.b" is not a."b".
	template <class PATH>
	void Path(dbl_met met, const PATH &parts, QueryLocation location) {
		string path;
		for (auto &part : parts) {
			if (!path.empty()) {
				path += '\0';
			}
			path += part.GetIdentifierName();
		}
		Meet(met, path, location);
	}
	void Named(const QualifiedName &name, QueryLocation location) {
		if (!IsCommonTableExpression(name)) {
			Path(DBL_MET_TABLE, name.Path(), location);
		}
	}

	//! New names for columns say nothing of the old ones.
	static bool RenamesColumns(const TableRef &ref) {
		return !ref.column_name_alias.empty() && ref.type != TableReferenceType::SUBQUERY &&
		       ref.type != TableReferenceType::EXPRESSION_LIST && ref.type != TableReferenceType::TABLE_FUNCTION;
	}
	void Table(const TableRef &ref) {
		Deeper deeper(*this);
		if (!ref.alias.empty()) {
			Meet(DBL_MET_ALIAS, ref.alias.GetIdentifierName(), ref.query_location);
		}
		if (RenamesColumns(ref)) {
			Meet(DBL_MET_ANY_COLUMN, string(), ref.query_location);
		}
		switch (ref.type) {
		case TableReferenceType::EMPTY_FROM:
			break;
		case TableReferenceType::BASE_TABLE: {
			auto &table = ref.Cast<BaseTableRef>();
			if (table.at_clause) {
				Forbidden("AT (time travel)", ref.query_location);
			}
			Named(table.GetQualifiedName(), ref.query_location);
			break;
		}
		case TableReferenceType::SUBQUERY:
			Node(*ref.Cast<SubqueryRef>().subquery->node);
			break;
		case TableReferenceType::JOIN: {
			auto &join = ref.Cast<JoinRef>();
			Table(*join.left);
			Table(*join.right);
			if (join.ref_type == JoinRefType::NATURAL) {
				Meet(DBL_MET_ANY_COLUMN, string(), ref.query_location);
			}
			for (auto &column : join.using_columns) {
				Meet(DBL_MET_COLUMN, column.GetIdentifierName(), ref.query_location);
			}
			Maybe(join.condition);
			Maybe(join.ranking_expression);
			All(join.duplicate_eliminated_columns);
			break;
		}
		case TableReferenceType::EXPRESSION_LIST:
			for (auto &row : ref.Cast<ExpressionListRef>().values) {
				All(row);
			}
			break;
		case TableReferenceType::TABLE_FUNCTION: {
			auto &call = ref.Cast<TableFunctionRef>();
			if (!call.function || call.function->GetExpressionClass() != ExpressionClass::FUNCTION) {
				Forbidden("an unknown kind of table function", ref.query_location);
			}
			Meet(DBL_MET_TABLE_FUNCTION, call.function->Cast<FunctionExpression>().FunctionName().GetIdentifierName(),
			     ref.query_location);
			Expression(*call.function);
			if (call.subquery) {
				Node(*call.subquery->node);
			}
			break;
		}
		case TableReferenceType::PIVOT: {
			auto &pivot = ref.Cast<PivotRef>();
			Meet(DBL_MET_ANY_COLUMN, string(), ref.query_location);
			Table(*pivot.source);
			All(pivot.aggregates);
			for (auto &column : pivot.pivots) {
				if (column.subquery || !column.pivot_enum.empty()) {
					Forbidden("PIVOT without a list of values", ref.query_location);
				}
				All(column.pivot_expressions);
				for (auto &entry : column.entries) {
					Maybe(entry.expr);
				}
			}
			break;
		}
		case TableReferenceType::SHOW_REF: {
			auto &show = ref.Cast<ShowRef>();
			if (show.show_type != ShowType::DESCRIBE && show.show_type != ShowType::SUMMARY) {
				Forbidden("SHOW", ref.query_location);
			}
			Meet(DBL_MET_ANY_COLUMN, string(), ref.query_location);
			if (show.query) {
				Node(*show.query);
			} else {
				Named(show.qualified_name, ref.query_location);
			}
			break;
		}
		default:
			Forbidden("an unknown kind of table", ref.query_location);
		}
	}

	const dbl_judge &judge;
	vector<Identifier> names;
	idx_t depth = 0;
};

} // namespace

bool Walk(const SelectStatement &statement, const dbl_judge &judge) {
	try {
		Walker(judge).Node(*statement.node);
		return true;
	} catch (const Refusal &) {
		return false;
	}
}

} // namespace duckblind

extern "C" int32_t dbl_walk(const uint8_t *sql, size_t len, const dbl_judge *judge) {
	try {
		auto parser = duckdb::Parser::GetBuiltinParser();
		parser.ParseQuery(duckdb::string(reinterpret_cast<const char *>(sql), len));
		auto &statements = parser.statements;
		if (statements.size() != 1 || statements[0]->type != duckdb::StatementType::SELECT_STATEMENT) {
			return DBL_NOT_ONE_SELECT;
		}
		return duckblind::Walk(statements[0]->Cast<duckdb::SelectStatement>(), *judge) ? DBL_OK : DBL_REFUSED;
	} catch (...) {
		return DBL_SYNTAX;
	}
}
