// Reads [{name, query}] from standard input and prints what Microsoft's Kusto parser has against each, given the tables below.
const root = process.argv[2];
require(`${root}/bridge.min.js`);
require(`${root}/Kusto.Language.Bridge.min.js`);

const common = "TimeGenerated: datetime, Properties: dynamic, OperationId: string, ParentId: string, AppRoleName: string";
const tables = {
  AppTraces: `${common}, Message: string, SeverityLevel: int`,
  AppMetrics: `${common}, Name: string, Sum: real, Min: real, Max: real, ItemCount: int`,
  AppDependencies: `${common}, Name: string, Target: string, DurationMs: real, Success: bool, ResultCode: string, ItemCount: int`,
  Usage: "TimeGenerated: datetime, DataType: string, IsBillable: bool, Quantity: real",
};

const language = Kusto.Language;
const symbols = Object.entries(tables).map(([name, columns]) =>
  language.Symbols.TableSymbol.From(`(${columns})`).WithName(name));
const database = new language.Symbols.DatabaseSymbol.ctor("workspace", symbols);
const globals = language.GlobalState.Default.WithDatabase(database);

const queries = JSON.parse(require("fs").readFileSync(0, "utf8"));
const found = {};
for (const { name, query } of queries) {
  const code = language.KustoCode.ParseAndAnalyze(query, globals);
  const complaints = code.GetDiagnostics();
  found[name] = [];
  for (let i = 0; i < complaints.Count; i++) found[name].push(complaints.getItem(i).Message);
}
console.log(JSON.stringify(found));
