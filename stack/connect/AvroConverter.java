package tributary.connect;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.common.config.ConfigException;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Writes Connect records as Avro in the Confluent frame: a zero byte, the schema id in four bytes, the binary value.
 * Schemas are registered under `topic-key` and `topic-value`. For source connectors only: it does not read.
 *
 * <p>Configuration: {@code schema.registry.url}, the base of a Confluent-compatible API.
 */
public final class AvroConverter implements Converter {
  private static final int FRAME_MAGIC = 0;

  /** A connector that changes its schema object with every record must not fill the memory. */
  private static final int SCHEMAS_PER_TOPIC_MAX = 1000;

  private record Registered(
      org.apache.avro.Schema schema, int id, GenericDatumWriter<Object> writer) {}

  private final Map<String, Map<Schema, Registered>> registeredByTopic = new ConcurrentHashMap<>();
  private SchemaRegistry registry;
  private String subjectSuffix;

  @Override
  public void configure(Map<String, ?> configs, boolean isKey) {
    if (!(configs.get("schema.registry.url") instanceof String url)) {
      throw new ConfigException("schema.registry.url is required");
    }
    registry = new SchemaRegistry(url);
    subjectSuffix = isKey ? "-key" : "-value";
  }

  @Override
  public byte[] fromConnectData(String topic, Schema schema, Object value) {
    if (value == null) {
      return null;
    }
    if (schema == null) {
      throw new DataException("a record of topic " + topic + " has no schema");
    }
    Registered registered = registered(topic, schema);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(256);
    bytes.write(FRAME_MAGIC);
    bytes.writeBytes(ByteBuffer.allocate(Integer.BYTES).putInt(registered.id()).array());
    try {
      BinaryEncoder encoder = EncoderFactory.get().directBinaryEncoder(bytes, null);
      registered.writer().write(AvroValues.toAvro(schema, registered.schema(), value), encoder);
      encoder.flush();
    } catch (IOException | RuntimeException e) {
      throw new DataException("a record of topic " + topic + " does not fit its schema", e);
    }
    return bytes.toByteArray();
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] value) {
    throw new UnsupportedOperationException("this converter writes only: use it in source connectors");
  }

  /** Debezium keeps one schema object for each table and version, so identity is enough and cheap. */
  private Registered registered(String topic, Schema schema) {
    Map<Schema, Registered> known =
        registeredByTopic.computeIfAbsent(
            topic, t -> Collections.synchronizedMap(new IdentityHashMap<>()));
    Registered found = known.get(schema);
    if (found != null) {
      return found;
    }
    org.apache.avro.Schema avro = AvroSchemas.toAvro(schema);
    int id = registry.register(topic + subjectSuffix, avro);
    Registered made = new Registered(avro, id, new GenericDatumWriter<>(avro));
    if (known.size() >= SCHEMAS_PER_TOPIC_MAX) {
      known.clear();
    }
    known.put(schema, made);
    return made;
  }
}
