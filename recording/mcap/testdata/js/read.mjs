// Reads an MCAP file with the format's own library, checks every CRC, and prints a line of JSON per message.
// In the mode topics it prints one object: how many messages each topic has.
// usage: node read.mjs stream|indexed|topics FILE
import { readFile } from "node:fs/promises";
import { crc32 } from "@foxglove/crc";
import { McapIndexedReader, McapStreamReader } from "@mcap/core";
import { loadDecompressHandlers, protobufFromBinaryDescriptor } from "@mcap/support";

const decompressHandlers = await loadDecompressHandlers();
const [mode, path] = process.argv.slice(2);
const file = new Uint8Array(await readFile(path));
const schemas = new Map();
const channels = new Map();
const types = new Map();
const lines = [];

function bits64(v) {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, v);
  return Number.isNaN(v) ? "nan" : view.getBigUint64(0).toString(16);
}

function bits32(v) {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, v);
  return Number.isNaN(v) ? "nan" : view.getUint32(0).toString(16);
}

// text writes a value so that nothing of it is lost on the way through JSON, but for what a NaN carries.
function text(type, v) {
  switch (type) {
    case "double":
      return bits64(v);
    case "float":
      return bits32(v);
    case "bytes":
      return Buffer.from(v).toString("hex");
    default:
      return String(v);
  }
}

function typeOf(channel) {
  let type = types.get(channel.schemaId);
  if (type == undefined) {
    const schema = schemas.get(channel.schemaId);
    if (schema.encoding !== "protobuf" || channel.messageEncoding !== "protobuf") {
      throw new Error(`schema ${schema.name} is ${schema.encoding}`);
    }
    type = protobufFromBinaryDescriptor(schema.data).lookupType(schema.name);
    types.set(channel.schemaId, type);
  }
  return type;
}

function print(m) {
  const channel = channels.get(m.channelId);
  const type = typeOf(channel);
  const decoded = type.decode(m.data);
  const values = {};
  for (const field of type.fieldsArray) {
    if (!Object.hasOwn(decoded, field.name)) {
      continue;
    }
    const v = decoded[field.name];
    values[field.name] = field.repeated ? Array.from(v, (e) => text(field.type, e)) : text(field.type, v);
  }
  lines.push(JSON.stringify({
    topic: channel.topic, schema: schemas.get(channel.schemaId).name, sequence: m.sequence,
    log: String(m.logTime), publish: String(m.publishTime), values,
  }));
}

if (mode === "stream") {
  const reader = new McapStreamReader({ validateCrcs: true, decompressHandlers });
  reader.append(file);
  for (let record; (record = reader.nextRecord()) != undefined; ) {
    switch (record.type) {
      case "Schema":
        schemas.set(record.id, record);
        break;
      case "Channel":
        channels.set(record.id, record);
        break;
      case "Message":
        print(record);
        break;
      case "DataEnd": {
        // The library does not check this one.
        const end = Buffer.from(file).lastIndexOf(Buffer.from([0x0f, 4, 0, 0, 0, 0, 0, 0, 0]));
        const sum = crc32(file.subarray(0, end));
        if (record.dataSectionCrc !== sum) {
          throw new Error(`data section CRC ${record.dataSectionCrc}, want ${sum}`);
        }
        break;
      }
    }
  }
  lines.push(JSON.stringify({ done: reader.done() }));
} else {
  const readable = {
    size: async () => BigInt(file.byteLength),
    read: async (offset, size) => file.subarray(Number(offset), Number(offset + size)),
  };
  const reader = await McapIndexedReader.Initialize({ readable, decompressHandlers });
  for (const s of reader.schemasById.values()) {
    schemas.set(s.id, s);
  }
  for (const c of reader.channelsById.values()) {
    channels.set(c.id, c);
  }
  let messages = 0n;
  const topics = {};
  for await (const m of reader.readMessages({ validateCrcs: true })) {
    if (mode === "topics") {
      const topic = channels.get(m.channelId).topic;
      topics[topic] = (topics[topic] ?? 0) + 1;
    } else {
      print(m);
    }
    messages++;
  }
  if (reader.statistics.messageCount !== messages) {
    throw new Error(`${messages} messages, the statistics say ${reader.statistics.messageCount}`);
  }
  const metadata = [];
  for await (const m of reader.readMetadata({ name: "fulmar.boot" })) {
    metadata.push(Object.fromEntries(m.metadata));
  }
  lines.push(JSON.stringify(mode === "topics" ? topics : { done: true, metadata }));
}
process.stdout.write(lines.join("\n") + "\n");
