import { useEffect, useState } from "preact/hooks";
import { giveCommand, listCommands, sentence, type Argument, type Command, type Order } from "../api.ts";
import type { App } from "../app.ts";
import { useChannel } from "../channel.ts";
import { Dialog } from "../dialogs.tsx";
import * as f from "../format.ts";
import { access } from "../session.ts";

const pollMS = 2000;
const quickMS = 300;
const mostOrders = 8;

/** What the machine can be told to do, and what it was told. Nothing, if it takes no commands. */
export function Commands({ app }: { app: App }) {
  useChannel(app.ui, access.changed);
  const [list, setList] = useState<{ device: string; declared: Command[]; orders: Order[] } | null>(null);
  const [asked, setAsked] = useState<Command | null>(null);
  const [problem, setProblem] = useState("");
  const device = app.device;
  useEffect(() => {
    let timer = 0;
    let over = false;
    const look = async (): Promise<void> => {
      let next = pollMS;
      try {
        const answer = await listCommands(device);
        if (over) return;
        setList({ device, ...answer });
        setProblem("");
        if (answer.orders.some((o) => o.state !== "done" && o.state !== "failed")) next = quickMS;
      } catch (err) {
        if (over) return;
        setProblem(sentence(err));
      }
      timer = window.setTimeout(() => void look(), next);
    };
    if (device) void look();
    return () => {
      over = true;
      window.clearTimeout(timer);
    };
  }, [device, asked === null]);
  if (!list || list.device !== device || (list.declared.length === 0 && list.orders.length === 0)) return null;
  const may = (c: Command): boolean => access.session?.role === "admin" || (access.session?.role === "operator" && c.role === "operator");
  return (
    <section class="panel commands" aria-labelledby="h-commands">
      <h2 id="h-commands">Commands</h2>
      {problem && <p class="hint">{problem}</p>}
      <ul class="commandlist">
        {list.declared.map((c) => (
          <li key={c.name}>
            <button data-command={c.name} data-risk={c.risk} disabled={!may(c)} title={may(c) ? c.doc : `It needs the role ${c.role}.`} onClick={() => setAsked(c)}>
              {c.name}
            </button>
            <span class="muted">{c.doc}</span>
          </li>
        ))}
      </ul>
      {list.orders.length > 0 && (
        <ol class="orders" aria-label="Given lately">
          {list.orders.slice(0, mostOrders).map((o) => (
            <li key={o.id} data-state={o.state} data-order={o.name}>
              <span class="num">{f.when(o.given_ms, app.now(), app.utc)}</span>
              <span class="source">{o.name}</span>
              <span class="state">{o.state}</span>
              <span class="text">
                {o.text}
                <span class="muted"> {o.by}</span>
              </span>
            </li>
          ))}
        </ol>
      )}
      {asked && <Give app={app} command={asked} close={() => setAsked(null)} />}
    </section>
  );
}

/** Asks for the arguments of a command and, by its risk, whether it is meant. */
function Give({ app, command, close }: { app: App; command: Command; close: () => void }) {
  const [values, setValues] = useState<Record<string, string>>({});
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  const device = app.device;
  const fields = Object.entries(command.arguments.properties ?? {});
  const meant = command.risk !== "danger" || typed === device;
  const submit = async (e: SubmitEvent): Promise<void> => {
    e.preventDefault();
    if (!meant) return;
    setBusy(true);
    try {
      const given = Object.entries(values).filter(([, v]) => v !== "");
      await giveCommand(device, command.name, Object.fromEntries(given));
      close();
    } catch (err) {
      setProblem(sentence(err));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`${command.name} · ${device}`} id="commanddialog" close={close}>
      <form onSubmit={(e) => void submit(e)}>
        <p>{command.doc.charAt(0).toUpperCase() + command.doc.slice(1)}.</p>
        {fields.map(([name, a]) => (
          <Field key={name} name={name} a={a} required={command.arguments.required?.includes(name) ?? false} set={(v) => setValues({ ...values, [name]: v })} />
        ))}
        {command.risk === "caution" && <p class="risk">The machine moves, or stops, by this.</p>}
        {command.risk === "danger" && (
          <label class="risk">
            This may do harm, or cannot be undone. Write the machine's name if it is meant.
            <input id="confirm" autocomplete="off" spellcheck={false} value={typed} onInput={(e) => setTyped(e.currentTarget.value)} />
          </label>
        )}
        {problem && (
          <p class="refusal" role="alert">
            {problem}
          </p>
        )}
        <div class="choices">
          <button class="primary" id="give" disabled={busy || !meant} data-risk={command.risk}>
            {command.risk === "safe" ? "Give" : "Give it, it is meant"}
          </button>
          <button type="button" onClick={close}>
            Leave it
          </button>
        </div>
      </form>
    </Dialog>
  );
}

function Field({ name, a, required, set }: { name: string; a: Argument; required: boolean; set: (v: string) => void }) {
  const hint = a.default === undefined ? "" : String(a.default);
  const bounds = a.minimum !== undefined || a.maximum !== undefined ? ` (${a.minimum ?? ""} … ${a.maximum ?? ""})` : "";
  return (
    <label class="field">
      <span>
        {name}
        <span class="muted">
          {" "}
          {a.description ?? ""}
          {bounds}
        </span>
      </span>
      {a.enum || a.type === "boolean" ? (
        <select name={name} required={required} onChange={(e) => set(e.currentTarget.value)}>
          <option value="">{hint || "–"}</option>
          {(a.enum ?? ["true", "false"]).map((v) => (
            <option key={String(v)} value={String(v)}>
              {String(v)}
            </option>
          ))}
        </select>
      ) : (
        <Value name={name} a={a} required={required} hint={hint} set={set} />
      )}
    </label>
  );
}

function Value({ name, a, required, hint, set }: { name: string; a: Argument; required: boolean; hint: string; set: (v: string) => void }) {
  const input = (e: { currentTarget: HTMLInputElement }): void => set(e.currentTarget.value);
  if (a.type === "number" || a.type === "integer") {
    const bounds = { ...(a.minimum !== undefined && { min: a.minimum }), ...(a.maximum !== undefined && { max: a.maximum }) };
    return <input type="number" name={name} required={required} step={a.type === "integer" ? 1 : "any"} {...bounds} placeholder={hint} onInput={input} />;
  }
  return <input name={name} required={required} placeholder={hint} onInput={input} />;
}
