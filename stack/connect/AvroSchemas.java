package tributary.connect;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.avro.JsonProperties;
import org.apache.avro.LogicalTypes;
import org.apache.avro.Schema;
import org.apache.avro.Schema.Type;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Decimal;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;

/**
 * Connect schemas as Avro schemas. An optional type becomes a union with null. A Connect semantic type keeps its name,
 * version and parameters as {@code connect.*} properties, as the usual converters write them; Connect's own four
 * become Avro logical types.
 */
final class AvroSchemas {
  /** Debezium names a numeric column's precision so; Avro wants one. */
  private static final String PRECISION = "connect.decimal.precision";

  private static final int PRECISION_UNKNOWN = 64;

  /** Avro defines a named record once; later uses refer to it. */
  private final Map<String, Schema> recordsByName = new HashMap<>();

  private AvroSchemas() {}

  static Schema toAvro(org.apache.kafka.connect.data.Schema schema) {
    return new AvroSchemas().convert(schema);
  }

  private Schema convert(org.apache.kafka.connect.data.Schema schema) {
    Schema plain = plain(schema);
    if (!schema.isOptional()) {
      return plain;
    }
    Schema nothing = Schema.create(Type.NULL);
    // A default must be of the union's first type.
    return schema.defaultValue() == null
        ? Schema.createUnion(nothing, plain)
        : Schema.createUnion(plain, nothing);
  }

  private Schema plain(org.apache.kafka.connect.data.Schema schema) {
    if (schema.type() == org.apache.kafka.connect.data.Schema.Type.STRUCT) {
      return record(schema);
    }
    Schema avro =
        switch (schema.type()) {
          case INT8, INT16, INT32 -> Schema.create(Type.INT);
          case INT64 -> Schema.create(Type.LONG);
          case FLOAT32 -> Schema.create(Type.FLOAT);
          case FLOAT64 -> Schema.create(Type.DOUBLE);
          case BOOLEAN -> Schema.create(Type.BOOLEAN);
          case STRING -> Schema.create(Type.STRING);
          case BYTES -> Schema.create(Type.BYTES);
          case ARRAY -> Schema.createArray(convert(schema.valueSchema()));
          case MAP -> Schema.createMap(convert(schema.valueSchema()));
          default -> throw new DataException("no Avro type for " + schema.type());
        };
    keepWidth(schema, avro);
    keepSemantics(schema, avro);
    return avro;
  }

  private Schema record(org.apache.kafka.connect.data.Schema schema) {
    String name = schema.name() == null ? "ConnectDefault" : schema.name();
    Schema known = recordsByName.get(name);
    if (known != null) {
      return known;
    }
    Schema record = Schema.createRecord(name, schema.doc(), null, false);
    recordsByName.put(name, record);
    List<Schema.Field> fields = new ArrayList<>();
    for (Field field : schema.fields()) {
      fields.add(field(field));
    }
    record.setFields(fields);
    keepSemantics(schema, record);
    return record;
  }

  private Schema.Field field(Field field) {
    return new Schema.Field(
        field.name(), convert(field.schema()), field.schema().doc(), defaultOf(field.schema()));
  }

  private static Object defaultOf(org.apache.kafka.connect.data.Schema schema) {
    if (schema.defaultValue() != null) {
      return AvroValues.toAvroDefault(schema, schema.defaultValue());
    }
    return schema.isOptional() ? JsonProperties.NULL_VALUE : null;
  }

  /** Avro has no eight and sixteen bit integers; the property tells a reader that cares. */
  private static void keepWidth(org.apache.kafka.connect.data.Schema schema, Schema avro) {
    switch (schema.type()) {
      case INT8, INT16 -> avro.addProp("connect.type", schema.type().getName());
      default -> {}
    }
  }

  private static void keepSemantics(org.apache.kafka.connect.data.Schema schema, Schema avro) {
    if (schema.name() == null) {
      return;
    }
    switch (schema.name()) {
      case Decimal.LOGICAL_NAME -> addDecimal(schema, avro);
      case Date.LOGICAL_NAME -> LogicalTypes.date().addToSchema(avro);
      case Time.LOGICAL_NAME -> LogicalTypes.timeMillis().addToSchema(avro);
      case Timestamp.LOGICAL_NAME -> LogicalTypes.timestampMillis().addToSchema(avro);
      default -> {}
    }
    avro.addProp("connect.name", schema.name());
    if (schema.version() != null) {
      avro.addProp("connect.version", schema.version());
    }
    if (schema.parameters() != null && !schema.parameters().isEmpty()) {
      avro.addProp("connect.parameters", new TreeMap<>(schema.parameters()));
    }
  }

  private static void addDecimal(org.apache.kafka.connect.data.Schema schema, Schema avro) {
    int scale = Integer.parseInt(schema.parameters().get(Decimal.SCALE_FIELD));
    String precision = schema.parameters().get(PRECISION);
    int digits = precision == null ? PRECISION_UNKNOWN : Integer.parseInt(precision);
    LogicalTypes.decimal(Math.max(digits, scale), scale).addToSchema(avro);
  }
}
