// PDFBox and iText 2 with Bouncy Castle, as their examples sign: an invisible adbe.pkcs7.detached, all in memory.
// java -cp … Signers.java pdfbox|itext KEYS.p12 PASSWORD FILE.pdf OUT.pdf; then a count a line, milliseconds back.

import com.lowagie.text.pdf.PdfDictionary;
import com.lowagie.text.pdf.PdfName;
import com.lowagie.text.pdf.PdfReader;
import com.lowagie.text.pdf.PdfSignature;
import com.lowagie.text.pdf.PdfSignatureAppearance;
import com.lowagie.text.pdf.PdfStamper;
import com.lowagie.text.pdf.PdfString;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.Calendar;
import java.util.HashMap;
import org.apache.pdfbox.pdmodel.PDDocument;
import org.apache.pdfbox.pdmodel.interactive.digitalsignature.PDSignature;
import org.bouncycastle.cert.jcajce.JcaCertStore;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedDataGenerator;
import org.bouncycastle.cms.jcajce.JcaSignerInfoGeneratorBuilder;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

public class Signers {
  static final int ROOM = 8192;
  static PrivateKey key;
  static Certificate[] chain;

  static byte[] cms(InputStream signed) throws Exception {
    String algorithm = key.getAlgorithm().startsWith("EC") ? "SHA256withECDSA" : "SHA256withRSA";
    CMSSignedDataGenerator made = new CMSSignedDataGenerator();
    made.addSignerInfoGenerator(
        new JcaSignerInfoGeneratorBuilder(new JcaDigestCalculatorProviderBuilder().build())
            .build(new JcaContentSignerBuilder(algorithm).build(key), (X509Certificate) chain[0]));
    made.addCertificates(new JcaCertStore(Arrays.asList(chain)));
    return made.generate(new CMSProcessableByteArray(signed.readAllBytes()), false).getEncoded();
  }

  static byte[] pdfbox(byte[] file) throws Exception {
    try (PDDocument document = PDDocument.load(file)) {
      PDSignature signature = new PDSignature();
      signature.setFilter(PDSignature.FILTER_ADOBE_PPKLITE);
      signature.setSubFilter(PDSignature.SUBFILTER_ADBE_PKCS7_DETACHED);
      signature.setSignDate(Calendar.getInstance());
      document.addSignature(
          signature,
          content -> {
            try {
              return cms(content);
            } catch (Exception error) {
              throw new IllegalStateException(error);
            }
          });
      ByteArrayOutputStream out = new ByteArrayOutputStream(file.length + 65536);
      document.saveIncremental(out);
      return out.toByteArray();
    }
  }

  @SuppressWarnings({"unchecked", "rawtypes"})
  static byte[] itext(byte[] file) throws Exception {
    ByteArrayOutputStream out = new ByteArrayOutputStream(file.length + 65536);
    PdfStamper stamper = PdfStamper.createSignature(new PdfReader(file), out, '\0', null, true);
    PdfSignatureAppearance appearance = stamper.getSignatureAppearance();
    PdfSignature signature = new PdfSignature(PdfName.ADOBE_PPKLITE, new PdfName("adbe.pkcs7.detached"));
    signature.setDate(new com.lowagie.text.pdf.PdfDate(appearance.getSignDate()));
    appearance.setCryptoDictionary(signature);
    HashMap room = new HashMap();
    room.put(PdfName.CONTENTS, ROOM * 2 + 2);
    appearance.preClose(room);
    byte[] value = cms(appearance.getRangeStream());
    PdfDictionary filled = new PdfDictionary();
    filled.put(PdfName.CONTENTS, new PdfString(Arrays.copyOf(value, ROOM)).setHexWriting(true));
    appearance.close(filled);
    return out.toByteArray();
  }

  public static void main(String[] told) throws Exception {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(new ByteArrayInputStream(Files.readAllBytes(Path.of(told[1]))), told[2].toCharArray());
    String alias = store.aliases().nextElement();
    key = (PrivateKey) store.getKey(alias, told[2].toCharArray());
    chain = store.getCertificateChain(alias);
    byte[] file = Files.readAllBytes(Path.of(told[3]));
    var machine = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
    BufferedReader asked = new BufferedReader(new InputStreamReader(System.in));
    for (String line = asked.readLine(); line != null; line = asked.readLine()) {
      int count = Integer.parseInt(line.trim());
      byte[] signed = null;
      long before = machine.getProcessCpuTime();
      for (int number = 0; number < count; number++) {
        signed = told[0].equals("itext") ? itext(file) : pdfbox(file);
      }
      double spent = (machine.getProcessCpuTime() - before) / 1e6 / count;
      Files.write(Path.of(told[4]), signed);
      System.out.println(spent);
      System.out.flush();
    }
  }
}
