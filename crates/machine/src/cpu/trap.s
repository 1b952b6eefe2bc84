// Entries from ring 3 and traps in the kernel. Offsets: `UserFrame` in user.rs, `PerCpu` in
// per_cpu.rs (gs:8 kernel stack, gs:16 user frame, gs:24 scratch).

.macro push_registers
    push rdi
    push rsi
    push rdx
    push rcx
    push rax
    push r8
    push r9
    push r10
    push r11
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
.endm

.macro pop_registers
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    pop r11
    pop r10
    pop r9
    pop r8
    pop rax
    pop rcx
    pop rdx
    pop rsi
    pop rdi
.endm

.macro return_to_run code
    mov rsp, gs:[8]
    .if \code
    push 2                  // an interrupt gate leaves the flags of ring 3 on, AC among them, which
    popfq                   // would lift SMAP; SYSCALL does not
    .endif
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    mov eax, \code
    ret
.endm

// u32 machine_enter_user(UserFrame *frame /* rdi */, u32 sysret /* esi */)
.global machine_enter_user
machine_enter_user:
    push rbx
    push rbp
    push r12
    push r13
    push r14
    push r15
    mov gs:[8], rsp
    mov rsp, rdi
    test esi, esi
    jz 1f
    pop r15
    pop r14
    pop r13
    pop r12
    pop rbp
    pop rbx
    add rsp, 8              // r11 holds the flags
    pop r10
    pop r9
    pop r8
    pop rax
    add rsp, 8              // rcx holds the address
    pop rdx
    pop rsi
    pop rdi
    mov rcx, [rsp + 16]     // rip
    mov r11, [rsp + 32]     // rflags
    mov rsp, [rsp + 40]
    swapgs
    sysretq
1:  pop_registers
    add rsp, 16             // vector, error code
    swapgs
    iretq

// SYSCALL: rcx = return address, r11 = flags, interrupts off, still on the user's stack.
.global machine_syscall_entry
machine_syscall_entry:
    swapgs
    mov gs:[24], rsp
    mov rsp, gs:[16]
    mov [rsp], r15
    mov [rsp + 8], r14
    mov [rsp + 16], r13
    mov [rsp + 24], r12
    mov [rsp + 32], rbp
    mov [rsp + 40], rbx
    mov [rsp + 48], r11
    mov [rsp + 56], r10
    mov [rsp + 64], r9
    mov [rsp + 72], r8
    mov [rsp + 80], rax
    mov [rsp + 88], rcx
    mov [rsp + 96], rdx
    mov [rsp + 104], rsi
    mov [rsp + 112], rdi
    mov [rsp + 136], rcx
    mov [rsp + 152], r11
    mov rcx, gs:[24]
    mov [rsp + 160], rcx
    return_to_run 0

// Common part of all vectors: [rsp] = vector, error code, rip, cs, rflags, rsp, ss.
trap_common:
    test byte ptr [rsp + 24], 3
    jz 1f
    swapgs
    push_registers          // fills the UserFrame that rsp0 points to the end of
    cld
    return_to_run 1
1:  push_registers
    cld
    mov rdi, rsp
    mov rbx, rsp            // rbp stays that of the interrupted code, for the backtrace
    and rsp, -16
    call machine_kernel_trap
    mov rsp, rbx
    pop_registers
    add rsp, 16
    iretq

// Traps that run on the fault stack whatever they interrupted; they do not return. They may come
// between swapgs and the change of rings, so what counts is whose GS base it is.
trap_fatal:
    push_registers
    cld
    mov ecx, 0xc0000101                 // MSR_GS_BASE; the kernel's is in the upper half
    rdmsr
    test edx, edx
    js 1f
    swapgs
1:
    mov rdi, rsp
    and rsp, -16
    call machine_kernel_trap
2:  hlt
    jmp 2b

.macro trap_stub vector
trap_\vector:
    .if (\vector != 8) && ((\vector < 10) || (\vector > 14)) && (\vector != 17) && (\vector != 21) && (\vector != 29) && (\vector != 30)
    push 0
    .endif
    push \vector
    .if (\vector == 2) || (\vector == 8) || (\vector == 18)
    jmp trap_fatal
    .else
    jmp trap_common
    .endif
.endm

.altmacro
.macro trap_stub_number vector
    trap_stub \vector
.endm
.set vector, 0
.rept 96
    trap_stub_number %vector
    .set vector, vector + 1
.endr

.macro trap_address vector
    .quad trap_\vector
.endm
.macro trap_address_number vector
    trap_address \vector
.endm
.section .rodata
.align 8
.global machine_trap_table
machine_trap_table:
.set vector, 0
.rept 96
    trap_address_number %vector
    .set vector, vector + 1
.endr
.noaltmacro
.text
