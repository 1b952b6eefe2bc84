// Start of a further CPU. The first part is copied to a page below 1 MiB; the parameters that
// Rust puts at offset 0x800 of that page are `Parameters` in start.rs.

.section .rodata.cpu_start, "a"
.align 16
.global machine_cpu_start
machine_cpu_start:
.code16
    cli
    cld
    mov ax, cs
    mov ds, ax
    mov eax, 0x620                      // CR4: PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    .byte 0x66, 0xa1                    // mov eax, [parameters.low_root]
    .word 0x800
    mov cr3, eax
    mov ecx, 0xc0000080                 // EFER: SCE, LME, NXE
    rdmsr
    or eax, 0x901
    wrmsr
    .byte 0x66, 0x0f, 0x01, 0x16        // lgdt [parameters.table_limit], 32-bit base
    .word 0x806
    mov eax, 0x80010033                 // CR0: PG, WP, NE, ET, MP, PE
    mov cr0, eax
    .byte 0x66, 0xff, 0x2e              // jmp far [parameters.long_mode]
    .word 0x80c
.global machine_cpu_start_long
machine_cpu_start_long:
.code64
    xor eax, eax
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov fs, eax
    mov gs, eax
    lea rbx, [rip + machine_cpu_start]
    mov rsp, [rbx + 0x818]
    mov rdi, [rbx + 0x820]
    mov rax, [rbx + 0x828]
    xor ebp, ebp
    jmp [rbx + 0x830]
.global machine_cpu_start_end
machine_cpu_start_end:

.text
// In the kernel half: drops the low half, then allows global pages.
.global machine_cpu_start_high
machine_cpu_start_high:
    mov cr3, rax
    mov rax, cr4
    or rax, 0x80
    mov cr4, rax
    call machine_cpu_main
    ud2
