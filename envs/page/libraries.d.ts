/** What the page's scripts use of DataTables (datatables.net), which the page has as a script of its own. */
declare class DataTable {
  static ext: { type: { order: Record<string, (a, b) => number> } };
  constructor(table: HTMLTableElement, options: object);
  on(event: string, act: () => void): DataTable;
  order(): [column: number, direction: string][];
  order(by: [column: number, direction: string]): DataTable;
  rows: { (which: object): { data(): { toArray(): any[] } }; add(rows: any[]): DataTable };
  clear(): DataTable;
  draw(): DataTable;
  destroy(): void;
}
