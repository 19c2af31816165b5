package tributary.connect;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.avro.generic.GenericData;
import org.apache.kafka.connect.data.Date;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Time;
import org.apache.kafka.connect.data.Timestamp;

/** Connect values as the objects that Avro's generic writer takes for the schemas of {@link AvroSchemas}. */
final class AvroValues {
  private AvroValues() {}

  static Object toAvro(Schema schema, org.apache.avro.Schema avro, Object value) {
    if (value == null) {
      return null;
    }
    org.apache.avro.Schema present = withoutNull(avro);
    return switch (schema.type()) {
      case STRUCT -> record((Struct) value, present);
      case ARRAY -> array(schema, present, (Collection<?>) value);
      case MAP -> map(schema, present, (Map<?, ?>) value);
      default -> scalar(schema, value);
    };
  }

  /**
   * A column default in the form that Avro's field constructor takes: bytes stay an array there, and a struct has none.
   */
  static Object toAvroDefault(Schema schema, Object value) {
    if (value instanceof Struct) {
      return null;
    }
    return scalar(schema, value) instanceof ByteBuffer bytes ? bytes.array() : scalar(schema, value);
  }

  private static org.apache.avro.Schema withoutNull(org.apache.avro.Schema avro) {
    if (!avro.isUnion()) {
      return avro;
    }
    List<org.apache.avro.Schema> types = avro.getTypes();
    return types.get(0).getType() == org.apache.avro.Schema.Type.NULL ? types.get(1) : types.get(0);
  }

  private static GenericData.Record record(Struct struct, org.apache.avro.Schema avro) {
    GenericData.Record record = new GenericData.Record(avro);
    for (Field field : struct.schema().fields()) {
      org.apache.avro.Schema type = avro.getFields().get(field.index()).schema();
      // Struct.get gives a column's default where the row has null.
      Object value =
          field.schema().isOptional() ? struct.getWithoutDefault(field.name()) : struct.get(field);
      record.put(field.index(), toAvro(field.schema(), type, value));
    }
    return record;
  }

  private static List<Object> array(
      Schema schema, org.apache.avro.Schema avro, Collection<?> elements) {
    List<Object> array = new ArrayList<>(elements.size());
    for (Object element : elements) {
      array.add(toAvro(schema.valueSchema(), avro.getElementType(), element));
    }
    return array;
  }

  private static Map<Object, Object> map(
      Schema schema, org.apache.avro.Schema avro, Map<?, ?> entries) {
    Map<Object, Object> map = new LinkedHashMap<>();
    entries.forEach(
        (name, entry) -> map.put(name, toAvro(schema.valueSchema(), avro.getValueType(), entry)));
    return map;
  }

  private static Object scalar(Schema schema, Object value) {
    return switch (value) {
      case Byte small -> small.intValue();
      case Short small -> small.intValue();
      case BigDecimal decimal -> ByteBuffer.wrap(decimal.unscaledValue().toByteArray());
      case byte[] bytes -> ByteBuffer.wrap(bytes);
      case java.util.Date moment -> fromLogical(schema, moment);
      default -> value;
    };
  }

  private static Object fromLogical(Schema schema, java.util.Date moment) {
    return switch (schema.name()) {
      case Date.LOGICAL_NAME -> Date.fromLogical(schema, moment);
      case Time.LOGICAL_NAME -> Time.fromLogical(schema, moment);
      default -> Timestamp.fromLogical(schema, moment);
    };
  }
}
